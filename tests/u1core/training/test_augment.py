"""Pictures shifted and mirrored."""

from dataclasses import replace

import numpy as np
import torch

from u1core.training.augment import may_mirror, shift_and_mirror


def test_pictures_are_shifted_and_mirrored_as_a_hand_would():
    pictures = torch.arange(2 * 16 * 16 * 3).reshape(2, 16, 16, 3).to(torch.uint8)
    seen = {
        bytes(row.numpy())
        for seed in range(400)
        for row in shift_and_mirror(pictures, torch.Generator().manual_seed(seed), mirror=True)[:1]
    }
    padded = np.pad(pictures[0].numpy(), ((2, 2), (2, 2), (0, 0)))
    by_hand = {
        np.ascontiguousarray(cut).tobytes()
        for y in range(5)
        for x in range(5)
        for cut in (padded[y : y + 16, x : x + 16], padded[y : y + 16, x : x + 16][:, ::-1])
    }
    assert seen == by_hand


def test_characters_and_phantoms_are_never_mirrored(catalog):
    assert [
        may_mirror(catalog.datasets[name]) for name in ("digits", "phantom", "fashion_mnist", "cifar10")
    ] == [
        False,
        False,
        True,
        True,
    ]
    svhn = replace(catalog.datasets["digits"], kind="torchvision", options={"class": "SVHN"})
    assert not may_mirror(svhn)
