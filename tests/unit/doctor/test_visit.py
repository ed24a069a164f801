"""The examination as a whole: what it takes, what it leaves behind, and how it refuses."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from assay.doctor import RULES, Diagnosis, Subject, examine
from assay.doctor.diagnosis import Outcome
from assay.doctor.opening import opened
from assay.errors import ConfigError

QUICK = ("start.overfit-batch", "run.not-learning", "start.pairing", "run.rate-low", "start.batch-mixing")


def made(width: int = 8) -> Subject:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(160, 3, generator=generator)
    y = (x[:, 0] > 0).long()
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 2))
    loader = DataLoader(TensorDataset(x, y), 16, shuffle=True, generator=torch.Generator().manual_seed(2))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return Subject(model, nn.CrossEntropyLoss(), loader, [(x[:80], y[:80])], optimiser=optimiser)


def state(subject: Subject) -> list:
    tensors = [*subject.model.parameters(), *subject.model.buffers()]
    return [
        [each.detach().clone() for each in tensors],
        [module.training for module in subject.model.modules()],
        [None if p.grad is None else p.grad.clone() for p in subject.model.parameters()],
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        subject.train.generator.get_state().tolist(),
    ]


def test_everything_is_left_as_it_was():
    subject = made()
    subject.model.eval()
    before = state(subject)
    settings = subject.optimiser.state_dict()
    examine(subject, steps=12)
    after = state(subject)
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    assert subject.optimiser.state_dict() == settings
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in subject.model.modules())


def test_every_rule_has_a_finding_in_the_order_of_the_registry():
    found = examine(made(), steps=12)
    assert [each.rule for each in found.findings] == list(RULES)
    assert not [each for each in found.findings if each.told.startswith("it could not be asked")]
    assert Diagnosis.from_json(found.to_json(), "the test") == found


def test_no_time_is_no_verdict():
    found = examine(made(), seconds=1e-3)
    assert {each.outcome for each in found.findings} == {Outcome.NOT_APPLICABLE}


def test_two_examinations_agree():
    first, again = (examine(made(), steps=110, only=QUICK) for _ in range(2))
    assert [each.value for each in first.findings] == [each.value for each in again.findings]


def test_a_mapping_and_several_inputs_will_do():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(2, 1), nn.Embedding(5, 1)

        def forward(self, numbers, codes):
            return self.first(numbers) + self.second(codes)

    numbers, codes = torch.randn(40, 2), torch.arange(40) % 5
    target = numbers[:, :1] + codes[:, None]
    for batch in ((numbers, codes, target), ({"numbers": numbers, "codes": codes}, target)):
        given = {"model": Two(), "loss": nn.MSELoss(), "train": [batch]}
        found = examine(given, only=("start.overfit-batch", "start.columns-ignored", "start.batch-mixing"))
        assert [each.outcome for each in found.findings[:2]] != [Outcome.FIRED] * 2
        assert found["start.batch-mixing"].value == 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": 3}, "must be a torch module"),
        ({"train": None}, "must yield batches"),
        ({"train": iter([])}, "iterable again"),
        ({"train": []}, "must yield rows"),
        ({"train": [torch.ones(3)]}, "inputs followed by a tensor"),
        ({"train": [(torch.ones(4, 7), torch.zeros(4).long())]}, "must answer the first batch"),
        ({"loss": None}, "must be a function"),
        ({"step": len, "optimiser": None}, "with its optimiser"),
        ({"optimiser": 1}, "must be one of torch"),
        ({"lossy": len}, "Did you mean 'loss'?"),
    ],
)
def test_what_is_no_subject_is_refused(change, said):
    plain = made()
    given = {name: getattr(plain, name) for name in ("model", "loss", "train", "optimiser")} | change
    with pytest.raises(ConfigError, match=said):
        examine(given)


def test_a_rule_must_be_known():
    with pytest.raises(ConfigError, match=r"Did you mean 'data\.finite'"):
        examine(made(), only=["data.finit"])


def test_errors_of_the_training_are_told():
    subject = made()
    subject.train = [(x, y + 1) for x, y in [(torch.randn(16, 3), torch.arange(16) % 2)] * 3]
    found = examine(subject, steps=5, only=("data.labels", "run.completes"))
    assert [each.blocks for each in found.findings] == [True, True]
    assert "IndexError" in found["run.completes"].told or "RuntimeError" in found["run.completes"].told


def test_a_subject_is_named_by_file_and_function(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def subject():\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    for name, said in (
        ("mine.py", "MODULE:FUNCTION"),
        ("none.py:f", "file must exist"),
        ("nowhere_at_all:f", "module must exist"),
        ("mine.py:subjet", "Did you mean 'subject'"),
        ("mine.py:subject", "must return a subject"),
    ):
        with pytest.raises(ConfigError, match=said):
            opened(name)


def test_a_model_that_fills_gaps_itself_is_not_accused():
    class Filling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return self.layer(x.nan_to_num())

    x = torch.randn(64, 3)
    x[5, 1] = float("nan")
    rows = [(x, torch.arange(64) % 2)]
    only = ("data.finite",)
    assert not examine(Subject(Filling(), nn.CrossEntropyLoss(), rows), only=only).alarms
    assert examine(Subject(nn.Linear(3, 2), nn.CrossEntropyLoss(), rows), only=only)["data.finite"].value == 1


def test_what_a_small_model_cannot_do_is_not_asked_of_it():
    rows = [(torch.randn(64, 3), torch.randint(0, 2, (64,)))]
    found = examine(Subject(nn.Linear(3, 2), nn.CrossEntropyLoss(), rows), only=("start.overfit-batch",))
    assert found.findings[0].outcome is Outcome.NOT_APPLICABLE
