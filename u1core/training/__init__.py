"""Does a U(1) label improve classification? Arms that share all but the loss, from the same seeds.

arms: the losses compared; objective: the angle and its loss; augment: what a picture goes through.
run: what one training is, its key; loop: its epochs, resumable; kept: tested once, its weights, its entry.
"""
