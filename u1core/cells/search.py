"""The memory-based classifier over a lake: search the bottleneck of a cell and write the neighbours.

Images are read in blocks of bounded size; the memory split answers, the query split asks. Shape legend:
B images, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from u1core.cells.cell import Cell
from u1core.cells.location_maps import LocationMaps
from u1core.images.cache import Images
from u1core.lake.store import Lake, list_matrix
from u1core.measures import medial, nearest_by_place
from u1core.measures.image_plane import coordinates
from u1core.measures.nearest import NEIGHBOURS, Neighbours, nearest, unit_circle

BLOCK_ROWS = 8192
"""Images that are read at a time: of the memory, and of the queries."""

SCHEMES = ("pooled", "chroma", "theta", "energy")


def search_memory(cell: Cell, lake: Lake, images: Images, device: str = "cpu") -> None:
    """Write the nearest memory images of every query image at the bottleneck, per scheme and per place."""
    _search_schemes(cell, lake, device)
    _search_location(cell, lake, images, device)


def _search_schemes(cell: Cell, lake: Lake, device: str) -> None:
    """Write one file per block of queries; the memory is read again for each, so that none is held whole."""
    memory = _image_rows(lake, cell, "memory")
    query = _image_rows(lake, cell, "query")
    if not len(memory["image_id"]) or not len(query["image_id"]):
        return
    schemes = [scheme for scheme in SCHEMES if _has_directions(lake, cell, scheme)]
    blocks = [_features(lake, cell, scheme, "query") for scheme in schemes]
    start = 0
    for part, asked in enumerate(zip(*blocks, strict=True)):
        rows = slice(start, start + len(asked[0]))
        start = rows.stop
        found = [
            nearest(queries, _features(lake, cell, scheme, "memory"), NEIGHBOURS, device)
            for scheme, queries in zip(schemes, asked, strict=True)
        ]
        block = {name: values[rows] for name, values in query.items()}
        columns = [_columns(*each, block, memory) for each in zip(schemes, found, strict=True)]
        merged = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
        lake.write("neighbours", cell.id, merged, layer=cell.model.bottleneck, part=part)


def _has_directions(lake: Lake, cell: Cell, scheme: str) -> bool:
    """Tell whether there is anything to compare: else every image would tie.

    A single channel has no direction, and without a frame there is no theta.
    """
    return any(asked.shape[1] > 1 and asked.any() for asked in _features(lake, cell, scheme, "query"))


def _columns(
    scheme: str, found: Neighbours, query: dict[str, np.ndarray], memory: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
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


def located_rows(cell: Cell, lake: Lake, images: Images) -> dict[str, np.ndarray]:
    """Return, by split, which rows of the location maps belong to images that have a record."""
    positions = LocationMaps(cell, images, lake).positions
    return {
        split: np.flatnonzero(np.isin(images.image_ids[members], _image_rows(lake, cell, split)["image_id"]))
        for split, members in positions.items()
    }


def _search_location(cell: Cell, lake: Lake, images: Images, device: str) -> None:
    """Write the nearest memory image of every query of the subset, place by place and by the whole map."""
    rows = located_rows(cell, lake, images)
    if not all(len(r) for r in rows.values()):
        return
    maps = LocationMaps(cell, images, lake)
    query, memory = (maps.positions[split][rows[split]] for split in ("query", "memory"))
    with maps.read("query") as queries, maps.read("memory") as memories:
        found = nearest_by_place.search(queries, memories, rows["query"], rows["memory"], device)
    x, y = (c.ravel() for c in coordinates(*_bottleneck_size(cell, lake)))
    sets = [("location", *place) for place in zip(x, y, found.location, strict=True)]
    sets += [("full", None, None, found.full), ("pooled", None, None, found.pooled)]
    columns = [
        {
            "scheme": np.full(len(query), scheme),
            "x": np.full(len(query), np.nan if x is None else x),
            "y": np.full(len(query), np.nan if y is None else y),
            "image_id": images.image_ids[query],
            "label": images.labels[query],
            "memory_image_id": images.image_ids[memory[nearest.position]],
            "memory_label": images.labels[memory[nearest.position]],
            "similarity": nearest.similarity.astype(np.float64),
        }
        for scheme, x, y, nearest in sets
    ]
    merged = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    lake.write("location_neighbours", cell.id, merged, layer=cell.model.bottleneck)


def _bottleneck_size(cell: Cell, lake: Lake) -> tuple[int, int]:
    """Return H and W of the bottleneck from the cell's frames."""
    frames = lake.read("frames", cell.id, columns=["is_bottleneck", "height", "width"])
    row = frames.filter(frames["is_bottleneck"]).to_pylist()[0]
    return row["height"], row["width"]


def _blocks(lake: Lake, cell: Cell, table: str, split: str, columns: list[str]) -> Iterator[pa.Table]:
    """Yield the rows of one split of the bottleneck, in image order, in blocks of bounded size."""
    wanted = ["split", *columns]
    for rows in lake.batches(table, cell.id, BLOCK_ROWS, wanted, layer=cell.model.bottleneck):
        mine = rows.filter(pc.equal(rows["split"], split))
        if len(mine):
            yield mine


def _image_rows(lake: Lake, cell: Cell, split: str) -> dict[str, np.ndarray]:
    names = ["image_id", "label"]
    blocks = list(_blocks(lake, cell, "records", split, names))
    return {
        n: np.concatenate([b[n].to_numpy() for b in blocks] or [np.empty(0, dtype=np.int64)]) for n in names
    }


def _features(lake: Lake, cell: Cell, scheme: str, split: str) -> Iterator[np.ndarray]:
    """Yield the vectors (B, D) that a scheme compares by cosine, block by block.

    Angles keep float64: neighbours on a circle of thousands lie closer than float32 resolves a cosine.
    """
    if scheme == "theta":
        for block in _blocks(lake, cell, "angles", split, ["theta_feature_rad"]):
            yield unit_circle(block["theta_feature_rad"].to_numpy())
    else:
        column = "energy_map" if scheme == "energy" else "pooled"
        for block in _blocks(lake, cell, "vectors", split, [column]):
            values = list_matrix(block[column])
            if scheme == "chroma":
                values = np.nan_to_num(medial.decompose(values).chroma).astype(np.float32)
            yield values
