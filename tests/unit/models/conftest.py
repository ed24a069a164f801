"""What tests of networks have in common."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Bits are promised for one number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
