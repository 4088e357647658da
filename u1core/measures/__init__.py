"""Every formula that is not SQL, on arrays and tensors, without a lake or a catalog.

optics: energy, dipole, encircled energy, the Sombrero; focus: which of them are columns, with their units.
medial: the parting about the medial vector; frames: the coupled frame of image plane and activation space.
reduce: activations to rows on the device; sums: what streams and merges over parts.
nearest, nearest_by_place: exact neighbours by cosine, over images and place by place.
"""
