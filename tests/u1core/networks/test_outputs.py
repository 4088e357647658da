"""Logits are taken where it is clear which they are, wherever they lie; else one line says what came."""

import dataclasses
from collections import OrderedDict, namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import GoogLeNetOutputs

from u1core.common.errors import U1Error
from u1core.networks.outputs import class_of, logits_of


@dataclasses.dataclass
class Output:
    hidden: object
    scores: object


LOGITS, OTHER, MAP = torch.randn(2, 10), torch.randn(2, 16), torch.randn(2, 16, 4, 4)
Pair = namedtuple("Pair", "first second")

WRAPPERS = {
    "tuple": lambda x, rest: (x, rest),
    "list": lambda x, rest: [rest, x],
    "named": lambda x, rest: Pair(rest, x),
    "mapping": lambda x, rest: OrderedDict(rest=rest, x=x),
    "dataclass": lambda x, rest: Output(rest, x),
}
NOT_LOGITS = st.sampled_from(
    [None, 3, "text", MAP, torch.randn(2), torch.randn(3, 10), torch.ones(2, 1).long()]
)


@given(st.lists(st.tuples(st.sampled_from(sorted(WRAPPERS)), NOT_LOGITS), max_size=4))
def test_the_only_logits_are_found_at_any_depth(wrappers):
    output = LOGITS
    for kind, rest in wrappers:
        output = WRAPPERS[kind](output, rest)
    assert logits_of(output, 2) is LOGITS


@given(st.lists(st.tuples(st.sampled_from(["tuple", "list", "mapping"]), NOT_LOGITS), max_size=3))
def test_what_is_called_logits_is_meant_among_others(wrappers):
    output = {"embedding": OTHER, "logits": LOGITS, "aux": torch.randn(2, 10)}
    for kind, rest in wrappers:
        output = WRAPPERS[kind](output, rest)
    assert logits_of(output, 2) is LOGITS


def test_the_main_head_of_what_googlenet_returns_while_it_trains():
    assert logits_of(GoogLeNetOutputs(LOGITS, torch.randn(2, 10), torch.randn(2, 10)), 2) is LOGITS


@pytest.mark.parametrize(
    ("output", "came"),
    [
        ((LOGITS, OTHER), r"tuple: 0 \(2, 10\), 1 \(2, 16\)"),
        ({"out": LOGITS, "aux": OTHER}, r"dict: out \(2, 10\), aux \(2, 16\)"),
        (MAP, r"Tensor: \(2, 16, 4, 4\)"),
        ({"logits": MAP, "pooled": OTHER}, r"dict: logits \(2, 16, 4, 4\), pooled"),
        (LOGITS[:1], r"Tensor: \(1, 10\)"),
        (LOGITS[:, 0], r"Tensor: \(2,\)"),
        (LOGITS.argmax(1)[:, None], r"Tensor: \(2, 1\)"),
        (None, "a NoneType"),
        (object(), "a object"),
    ],
)
def test_what_is_not_clear_is_one_line(output, came):
    with pytest.raises(U1Error, match=came):
        logits_of(output, 2)


@given(st.lists(st.floats(width=32), min_size=1, max_size=5))
def test_a_class_is_the_largest_finite_score_or_none(scores):
    largest = max(scores, key=lambda x: (x != x, x))
    finite = torch.tensor(largest).isfinite()
    (label,) = class_of(torch.tensor([scores])).tolist()
    assert label == (torch.tensor(scores).argmax() if finite else -1)
