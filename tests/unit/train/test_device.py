import os

import pytest
import torch

from assay.train.device import allowed_cores, free_cores, using_threads


def test_threads_are_set_and_given_back():
    before = torch.get_num_threads()

    def fail():
        with using_threads(0) as threads:
            assert threads == torch.get_num_threads() == 1
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert torch.get_num_threads() == before


def test_never_more_threads_than_the_process_may_use():
    with using_threads(10_000) as threads:
        assert threads == allowed_cores() <= len(os.sched_getaffinity(0))
    assert 1 <= free_cores() <= allowed_cores()
