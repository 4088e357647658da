"""Every formula that is not SQL, on arrays and tensors, without a lake or a catalog.

pixel_grid: where pixels sit; optics: energy, dipole, encircled energy, the Sombrero; focus: its columns.
medial: the parting about the medial vector; gauge: channels at one size; frames: the frame that couples image
plane and activation space; planes: their agreement and its null; beyond: a dipole without what the pixel bank
knows of it. reduce: activations to rows on the device; sums: what streams and merges over parts.
shape: curves on held-out maps; bits: what an angle tells, held out; effect: how far classes lean.
nearest, nearest_by_place: exact neighbours by cosine, over images and place by place.
"""
