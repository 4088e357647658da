"""Where labelled pictures come from: one reader per kind of data set, and the ways to fetch what is missing.

Most readers give a `Listing`, which is decoded picture by picture; the built-in sets in a few large files are
read whole. Either way the result is the same `Decoded`, so that a fingerprint can prove it. A package adds a
kind with an entry point of group `u1sweep.datasets`: a function like `u1core.images.sources.folder.read`.
What it reads nobody else can count: it has to list whatever it finds, or to name it as ignored.

reading: which reader for which entry; listing: what they give; counts: whether that is all there is; splits,
labels: what those are called and what they mean, for all readers; folder, parquet, csv_table, official,
arrays: readers by kind; phantom: drawn pictures; placed: objects anywhere on texture; fetch, download: what
is missing; pictures: one picture decoded, whatever its format; index: pictures in their files; suffixes: what
files are by their names.
"""

from u1core.images.sources.listing import Listing, Picture, PictureError, SourceError

__all__ = ["Listing", "Picture", "PictureError", "SourceError"]
