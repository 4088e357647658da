"""Labelled pictures, from wherever they lie to arrays of pixels at the size a network takes.

sources: one reader per kind of data set, downloads, generated sets; cache: decoded once, read by position.
in_files: pictures that stay in their files; resized_store: what was decoded and resized for one geometry.
repeats: the same picture twice; alike: nearly the same; pixel_source: batches of pixels for an extraction;
resize: as the networks were trained, and luminance; altered: pictures of which controls leave a part; draws:
what is random in them.
"""
