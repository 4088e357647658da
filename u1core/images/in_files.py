"""Pictures that stay in their files: decoded once for every model of a sweep, while the first of them runs.

What is decoded and resized goes to the store of its geometry (`u1core.images.resized_store`), for this
network and for those to come; where a store would break the budget, pictures are decoded each time.
Shapes: n pictures of S x S pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch

from u1core.catalog.entries import Preprocessing
from u1core.common.ahead import map_ahead
from u1core.images.pixel_source import PixelBatch
from u1core.images.resize import resize
from u1core.images.resized_store import PixelStore, make_room, store_folder
from u1core.images.sources.listing import Flags, ImageFailure, Labels, Listing, Picture, Pixels
from u1core.images.sources.pictures import decode_picture, fetched, numbered, quiet, reason


@dataclass(frozen=True)
class Pictures:
    """The pictures of a data set.

    Attributes:
        listing: Lists them all, also those that are none.
        image_ids: Places in that list, (n,).
        labels: (n,).
        is_query: (n,).
        fingerprint: Of the data set.
        cache: Folder of everything decoded.
    """

    listing: Callable[[], Listing]
    image_ids: Labels
    labels: Labels
    is_query: Flags
    fingerprint: str
    cache: Path

    def at(self, positions: Labels) -> Iterator[tuple[int, Picture]]:
        """Yield position and picture, in order; the list is gone through again where the order falls."""
        wanted = self.image_ids[positions]
        for stretch in np.split(positions, np.flatnonzero(np.diff(wanted) <= 0) + 1):
            due = dict(zip(self.image_ids[stretch].tolist(), stretch.tolist(), strict=True))
            for image_id, picture in numbered(self.listing()):
                if image_id in due:
                    yield due.pop(image_id), Picture(picture.name, fetched(picture.content))
                if not due:
                    break

    def failure(self, position: int, why: str) -> ImageFailure:
        """Return the failure of one picture to decode."""
        label, is_query = int(self.labels[position]), bool(self.is_query[position])
        return ImageFailure(int(self.image_ids[position]), label, is_query, "decode", why)

    def undecodable(self) -> list[ImageFailure]:
        """Decode every picture and return those that can't be."""

        def attempt(item: tuple[int, Picture]) -> ImageFailure | None:
            position, picture = item
            try:
                decode_picture(picture.content, None)  # type: ignore[arg-type]
            except Exception as error:  # of many kinds; each is this picture's failure alone
                return self.failure(position, reason(picture, error))
            return None

        everything = self.at(np.arange(len(self.labels)))
        with quiet(), closing(map_ahead(attempt, everything, torch.get_num_threads())) as found:
            return [failure for failure in found if failure]


class _Target(NamedTuple):
    """One geometry that pictures are prepared for, and where they are kept, if anywhere."""

    numbers: Preprocessing
    store: PixelStore | None
    has_room: bool

    def lacks(self, position: int) -> bool:
        """Whether the picture should be put there."""
        return self.store is not None and self.has_room and not self.store.present[position]

    def put(self, position: int, pixels: Pixels) -> bool:
        """Write a picture; a full disk is no reason to stop."""
        try:
            if self.store is not None:
                self.store.write(position, pixels)
        except OSError:
            return False
        return self.store is not None


class _Prepared(NamedTuple):
    position: int
    pixels: Pixels | None
    failure: ImageFailure | None
    stored: tuple[_Target, ...]


class PictureSource:
    """Prepared pictures for one network; see `u1core.images.pixel_source.PixelSource`.

    Args:
        pictures: The data set's.
        numbers: Of the network.
        also: Of networks to come: what is decoded is prepared for them too.
    """

    is_prepared = True

    def __init__(
        self, pictures: Pictures, numbers: Preprocessing, also: Sequence[Preprocessing] = ()
    ) -> None:
        self.shape = (numbers.size, numbers.size, 3)
        self._pictures, self._stack = pictures, ExitStack()
        folders = {store_folder(pictures.cache, pictures.fingerprint, n): n for n in (numbers, *also)}
        self._geometries = list(folders.items())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def batches(self, wanted: Sequence[Labels], turn: Event | None = None) -> Iterator[PixelBatch]:
        """Yield one batch for each array of positions."""
        positions = np.concatenate(wanted) if wanted else np.empty(0, dtype=np.int64)
        targets = self._open(positions)
        first = targets[0]
        nothing = np.zeros(len(self._pictures.labels), dtype=bool)
        here = nothing if first.store is None else first.store.present.copy()
        with quiet(), closing(self._prepare(positions[~here[positions]], targets, turn)) as prepared:
            for batch in wanted:
                yield self._batch(batch, here[batch], first.store, prepared)

    def _batch(
        self, positions: Labels, here: Flags, store: PixelStore | None, prepared: Iterator[_Prepared]
    ) -> PixelBatch:
        pixels = np.empty((len(positions), *self.shape), dtype=np.uint8)
        good, failures = here.copy(), []
        if store is not None:
            pixels[here] = store.read(positions[here])
        for place in np.flatnonzero(~here):
            found = next(prepared)
            for target in found.stored:
                if target.store is not None:
                    target.store.commit(found.position)
            if found.pixels is not None:
                pixels[place], good[place] = found.pixels, True
            elif found.failure is not None:
                failures.append(found.failure)
        whole = bool(good.all())
        return PixelBatch(
            positions if whole else positions[good], pixels if whole else pixels[good], tuple(failures)
        )

    def _prepare(self, positions: Labels, targets: list[_Target], turn: Event | None) -> Generator[_Prepared]:
        """Decode pictures and prepare each for every target that lacks it."""

        def prepare(item: tuple[int, Picture]) -> _Prepared:
            position, picture = item
            try:
                whole = decode_picture(picture.content, None)  # type: ignore[arg-type]
            except Exception as error:  # of many kinds; each is this picture's failure alone
                return _Prepared(position, None, self._pictures.failure(position, reason(picture, error)), ())
            return self._prepared(position, torch.from_numpy(whole.copy())[None], targets)

        return map_ahead(prepare, self._pictures.at(positions), torch.get_num_threads(), turn=turn)

    @staticmethod
    def _prepared(position: int, whole: torch.Tensor, targets: list[_Target]) -> _Prepared:
        """Resize one picture (1, H, W, 3) for every target that lacks it, and store it."""
        own, stored = None, []
        for number, target in enumerate(targets):
            lacks = target.lacks(position)
            if number and not lacks:
                continue
            pixels = np.ascontiguousarray(resize(whole, target.numbers)[0].numpy())
            own = pixels if number == 0 else own
            if lacks and target.put(position, pixels):
                stored.append(target)
        return _Prepared(position, own, None, tuple(stored))

    def _open(self, positions: Labels) -> list[_Target]:
        """Open the stores that are there, and those that the budget has room for."""
        root = self._pictures.cache / "pixels"
        targets: list[_Target] = []
        kept: list[Path] = []
        needed = 0
        for folder, numbers in self._geometries:
            row_bytes = numbers.size**2 * 3
            try:
                store = self._store(folder, numbers) if folder.is_dir() else None
                missing = len(positions) if store is None else int((~store.present[positions]).sum())
                has_room = make_room(root, needed + missing * row_bytes, [*kept, folder])
                if store is None and has_room:
                    store = self._store(folder, numbers)
            except OSError:  # a cache that can't be written is no reason to stop
                store, has_room, missing = None, False, 0
            if has_room:
                kept.append(folder)
                needed += missing * row_bytes
            targets.append(_Target(numbers, store, has_room))
        return targets

    def _store(self, folder: Path, numbers: Preprocessing) -> PixelStore:
        store = PixelStore(folder, len(self._pictures.labels), numbers.size)
        self._stack.callback(store.close)
        return store
