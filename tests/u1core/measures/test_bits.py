"""Held-out bits of theta: none where there are none, all where all is said, those of a known mixture."""

import numpy as np
import pytest
from scipy.special import i0

from u1core.measures.bits import ANGLES, held_out_bits

PI = np.pi


def drawn(rng, label, direction, kappa):
    return rng.vonmises(direction[label], kappa)


@pytest.mark.parametrize(("classes", "each"), [(10, 50), (100, 20), (300, 5)])
def test_angles_without_a_class_tell_nothing(classes, each):
    # Of a table of true and predicted classes the information would be 1 to 6 bits here.
    rng = np.random.default_rng(classes)
    label = np.repeat(np.arange(classes), each)
    memory, query = (rng.uniform(-PI, PI, len(label)) for _ in range(2))
    found = held_out_bits(memory, label, query, label)
    assert -0.03 < found.bits <= 0.01 + 3 * found.bits_se
    assert found.prior_bits == pytest.approx(np.log2(classes))


def test_separated_classes_tell_which_they_are():
    label = np.repeat(np.arange(16), 200)
    angle = np.linspace(-3, 3, 16)[label] + np.random.default_rng(0).normal(0, 0.01, len(label))
    found = held_out_bits(angle, label, angle, label)
    assert found.bits == pytest.approx(4, abs=0.03)
    assert found.bits < 4


def test_the_information_of_a_mixture_is_that_of_quadrature():
    rng = np.random.default_rng(4)
    direction, kappa = np.array([0.3, 1.5, -2.0, 3.0]), 2.0
    share = np.array([0.4, 0.3, 0.2, 0.1])
    label, asked = (rng.choice(4, 6000, p=share) for _ in range(2))
    found = held_out_bits(
        drawn(rng, label, direction, kappa), label, drawn(rng, asked, direction, kappa), asked
    )
    grid = np.arange(20_000) * 2 * PI / 20_000
    density = np.exp(kappa * np.cos(grid - direction[:, None])) / (2 * PI * i0(kappa))
    joint = share[:, None] * density
    truth = (joint * np.log2(density / joint.sum(axis=0))).sum() * 2 * PI / 20_000
    assert found.bits == pytest.approx(truth, abs=4 * found.bits_se)
    assert found.bits_se < 0.02
    assert 1 <= found.kappa <= 64


def direct(memory, label, query, asked, kappa):
    """The same without a grid, a transform or a class that is left out by a formula."""
    n, counts = len(memory), np.bincount(label)
    kernel = np.exp(kappa * (np.cos(query[:, None] - memory) - 1)) / (2 * PI * i0(kappa) * np.exp(-kappa))
    sums = np.stack([kernel[:, label == c].sum(axis=1) for c in range(len(counts))], axis=1)
    whole = (sums.sum(axis=1) + 1 / (2 * PI)) / (n + 1)
    density = (sums + whole[:, None]) / (counts + 1)
    ratio = density / (density @ (counts / n))[:, None]
    return np.log2(ratio[np.arange(len(query)), asked])


def test_the_grid_and_the_transform_change_nothing_that_counts():
    rng = np.random.default_rng(5)
    label, asked = rng.integers(0, 6, 300), rng.integers(0, 6, 200)
    memory, query = rng.vonmises(label, 3.0), rng.vonmises(asked, 3.0)
    found = held_out_bits(memory, label, query, asked)
    exact = direct(memory, label, query, asked, found.kappa)
    assert found.bits == pytest.approx(exact.mean(), abs=1e-3)
    assert found.bits_se == pytest.approx(exact.std(ddof=1) / 200**0.5, abs=1e-3)


def test_the_kernel_is_chosen_by_leaving_each_image_out():
    rng = np.random.default_rng(6)
    label = np.repeat(np.arange(3), [2, 5, 9])
    angle = np.rint(rng.vonmises(label, 5.0) * ANGLES / (2 * PI)) * 2 * PI / ANGLES
    found = held_out_bits(angle, label, angle, label)

    def left_out(kappa):
        rest = [np.delete(np.arange(16), i) for i in range(16)]
        share = np.bincount(label) / 16
        total = 0.0
        for i, others in enumerate(rest):
            # Prior shares stay those of the whole memory; densities are those of the others.
            kernel = np.exp(kappa * (np.cos(angle[i] - angle[others]) - 1))
            kernel /= 2 * PI * i0(kappa) * np.exp(-kappa)
            counts = np.bincount(label[others], minlength=3)
            sums = np.bincount(label[others], kernel, minlength=3)
            density = (sums + (kernel.sum() + 1 / (2 * PI)) / 16) / (counts + 1)
            total += np.log2(density[label[i]] / (share @ density))
        return total / 16

    best = max((0.0, *(2.0**k for k in range(-2, 10))), key=left_out)
    assert found.kappa == best


def test_what_cannot_be_asked_is_left_out():
    memory, label = np.array([0.0, 0.1, np.nan]), np.array([0, 0, 1])
    found = held_out_bits(memory, label, np.array([0.0, np.nan, 2.0]), np.array([0, 0, 1]))
    assert (found.n_memory, found.n, found.classes) == (2, 1, 1)
    assert found.bits == pytest.approx(0, abs=1e-12)
    nothing = held_out_bits(memory[2:], label[2:], memory, label)
    assert (nothing.n_memory, nothing.n, nothing.bits) == (0, 0, None)
