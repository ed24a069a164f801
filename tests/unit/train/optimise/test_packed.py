from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import ConfigError
from assay.train.optimise.packed import pack, unpack

KEYS = st.one_of(st.integers(), st.text(max_size=5))
STATES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=50)
@given(STATES)
def test_numbers_words_and_containers_come_back_as_they_were(state):
    found = unpack(pack(state))
    assert found == state
    assert type(found) is type(state)


def test_tensors_and_keys_keep_their_types():
    state = {
        "state": {0: {"step": torch.tensor(3.0), "mean": torch.arange(4.0)}, 1: {"step": 7}},
        "milestones": Counter({30: 1}),
        "betas": (0.9, 0.999),
        "best": float("inf"),
        "rate": np.float64(0.1),
    }
    packed = pack(state)
    assert all(isinstance(tensor, torch.Tensor) for tensor in packed.values())
    found = unpack(packed)
    assert list(found["state"]) == [0, 1]
    assert torch.equal(found["state"][0]["mean"], torch.arange(4.0))
    assert isinstance(found["milestones"], Counter)
    assert found["milestones"][30] == 1
    assert (found["betas"], found["best"], found["rate"]) == ((0.9, 0.999), float("inf"), 0.1)


def test_what_was_packed_is_a_copy():
    tensor = torch.zeros(3)
    packed = pack([tensor])
    tensor += 1
    assert torch.equal(unpack(packed)[0], torch.zeros(3))


def test_anything_else_is_named_and_refused():
    with pytest.raises(ConfigError, match=r"it\['hook'\]\[1\] is a function"):
        pack({"hook": [1, lambda: None]})
