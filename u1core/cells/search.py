"""What the memory-based classifier knows: search the bottleneck of a cell and write the neighbours.

Images are read in blocks of bounded size; the memory split answers, the query split asks. Shape legend:
B images, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from u1core.cells.location_maps import LocationMaps
from u1core.cells.open_cell import OpenCell
from u1core.lake.store import list_matrix
from u1core.measures import medial, nearest_by_place
from u1core.measures.nearest import NEIGHBOURS, Neighbours, nearest, nearest_exactly, unit_circle
from u1core.measures.pixel_grid import coordinates
from u1core.measures.sums import SPLITS

Columns = dict[str, np.ndarray]
"""Values by column, all of one length."""

BLOCK_ROWS = 8192
"""Images that are read at a time: of the memory, and of the queries."""

SCHEMES = ("pooled", "chroma", "theta", "energy")


def search_memory(opened: OpenCell, device: str = "cpu") -> dict[str, int]:
    """Write the nearest memory images of every query image at the bottleneck, per scheme and per place.

    Returns:
        Images by split that the location memory compared: 0 where it was not asked for.
    """
    recorded = {split: _image_rows(opened, split) for split in SPLITS}
    _search_schemes(opened, recorded, device)
    return _search_location(opened, recorded, device)


def _search_schemes(opened: OpenCell, recorded: dict[str, Columns], device: str) -> None:
    """Write one file per block of queries; the memory is read again for each, so that none is held whole."""
    memory, query = recorded["memory"], recorded["query"]
    if not len(memory["image_id"]) or not len(query["image_id"]):
        return
    schemes = [scheme for scheme in SCHEMES if _has_directions(opened, scheme)]
    blocks = [_features(opened, scheme, "query") for scheme in schemes]
    start = 0
    for part, asked in enumerate(zip(*blocks, strict=True)):
        rows = slice(start, start + len(asked[0]))
        start = rows.stop
        found = [_nearest(opened, *each, device) for each in zip(schemes, asked, strict=True)]
        block = {name: values[rows] for name, values in query.items()}
        columns = [_columns(*each, block, memory) for each in zip(schemes, found, strict=True)]
        opened.write("neighbours", _joined(columns), layer=opened.model.bottleneck, part=part)


def _has_directions(opened: OpenCell, scheme: str) -> bool:
    """Tell whether there is anything to compare: else every image would tie.

    A single channel has no direction, and without a frame there is no theta.
    """
    return any(asked.shape[1] > 1 and asked.any() for asked in _features(opened, scheme, "query"))


def _nearest(opened: OpenCell, scheme: str, queries: np.ndarray, device: str) -> Neighbours:
    """Find the neighbours of queries (B, D); angles are float64 from the first."""
    if scheme == "theta":
        return nearest(queries, _features(opened, scheme, "memory"), NEIGHBOURS, device)
    return nearest_exactly(queries, lambda: _features(opened, scheme, "memory"), NEIGHBOURS, device)


def _columns(scheme: str, found: Neighbours, query: Columns, memory: Columns) -> Columns:
    """Return one row per query and rank."""
    asked, ranks = found.position.shape
    return {
        "scheme": np.full(found.position.size, scheme),
        "image_id": np.repeat(query["image_id"], ranks),
        "label": np.repeat(query["label"], ranks),
        "rank": np.tile(np.arange(1, ranks + 1), asked),
        "memory_image_id": memory["image_id"][found.position].ravel(),
        "memory_label": memory["label"][found.position].ravel(),
        "similarity": found.similarity.ravel().astype(np.float64),
    }


def _joined(columns: list[Columns]) -> Columns:
    return {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}


def _search_location(opened: OpenCell, recorded: dict[str, Columns], device: str) -> dict[str, int]:
    """Write the nearest memory image of every query of the subset, place by place and by the whole map.

    Returns:
        Images of the subset that have a record, by split.
    """
    maps, image_ids = LocationMaps(opened), opened.images.image_ids
    # Rows of the maps, (n,), that belong to images with a record; the others hold zeros.
    rows = {
        split: np.flatnonzero(np.isin(image_ids[members], recorded[split]["image_id"]))
        for split, members in maps.positions.items()
    }
    counts = {split: len(found) for split, found in rows.items()}
    if not all(counts.values()):
        return counts
    query, memory = (maps.positions[split][rows[split]] for split in ("query", "memory"))
    with maps.read("query") as queries, maps.read("memory") as memories:
        found = nearest_by_place.search(queries, memories, rows["query"], rows["memory"], device)
    x, y = (c.ravel() for c in coordinates(*_bottleneck_size(opened)))
    sets = [("location", *place) for place in zip(x, y, found.location, strict=True)]
    sets += [("full", None, None, found.full), ("pooled", None, None, found.pooled)]
    labels = opened.images.labels
    columns = [
        {
            "scheme": np.full(len(query), scheme),
            "x": np.full(len(query), np.nan if x is None else x),
            "y": np.full(len(query), np.nan if y is None else y),
            "image_id": image_ids[query],
            "label": labels[query],
            "memory_image_id": image_ids[memory[nearest.position]],
            "memory_label": labels[memory[nearest.position]],
            "similarity": nearest.similarity.astype(np.float64),
        }
        for scheme, x, y, nearest in sets
    ]
    opened.write("location_neighbours", _joined(columns), layer=opened.model.bottleneck)
    return counts


def _bottleneck_size(opened: OpenCell) -> tuple[int, int]:
    """Return H and W of the bottleneck from the cell's frames."""
    frames = opened.read("frames", ["is_bottleneck", "height", "width"])
    row = frames.filter(frames["is_bottleneck"]).to_pylist()[0]
    return row["height"], row["width"]


def _blocks(opened: OpenCell, table: str, split: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of one split of the bottleneck, in image order, in blocks of bounded size."""
    wanted = ["split", *columns]
    for rows in opened.batches(table, BLOCK_ROWS, wanted, layer=opened.model.bottleneck):
        mine = rows.filter(pc.equal(rows["split"], split))
        if len(mine):
            yield mine


def _image_rows(opened: OpenCell, split: str) -> Columns:
    """Return ids and labels of the images recorded in one split, (n,) each."""
    names = ["image_id", "label"]
    blocks = list(_blocks(opened, "records", split, names))
    return {
        n: np.concatenate([b[n].to_numpy() for b in blocks] or [np.empty(0, dtype=np.int64)]) for n in names
    }


def _features(opened: OpenCell, scheme: str, split: str) -> Iterator[np.ndarray]:
    """Yield the vectors (B, D) that a scheme compares by cosine, block by block.

    Angles keep float64: neighbours on a circle of thousands lie closer than float32 resolves a cosine.
    """
    if scheme == "theta":
        for block in _blocks(opened, "angles", split, ["theta_feature_rad"]):
            yield unit_circle(block["theta_feature_rad"].to_numpy())
    else:
        column = "energy_map" if scheme == "energy" else "pooled"
        for block in _blocks(opened, "vectors", split, [column]):
            values = list_matrix(block[column])
            if scheme == "chroma":
                values = np.nan_to_num(medial.decompose(values).chroma)
            yield values
