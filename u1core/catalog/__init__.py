"""What a sweep may look at: entries of networks and of labelled image sets, read from TOML.

catalog: the built-in entries and the user's, chosen by patterns; entries: what an entry holds.
models, datasets, fields: what its fields may hold; schemes: who brings networks; edit: writing one.
dataset_references, torchvision_sets: data sets that need no entry. What a reference to a network means is
resolved in the wing networks: nothing here imports torch, or any wing but common.
"""
