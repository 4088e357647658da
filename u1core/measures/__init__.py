"""Every formula that is not SQL, on arrays and tensors, without a lake or a catalog.

pixel_grid: where pixels sit; optics: energy, dipole, encircled energy, the Sombrero; focus: its columns.
medial: the parting about the medial vector; frames: the frame that couples image plane and activation space.
beyond: what of a dipole is no function of the pixel bank's.
reduce: activations to rows on the device; sums: what streams and merges over parts.
nearest, nearest_by_place: exact neighbours by cosine, over images and place by place.
"""
