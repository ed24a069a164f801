"""Statistics of models and losses: each triggers where it should, and not where it should not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.doctor import model_statistics as of
from assay.doctor.watching import Activations, dead_share, modes, saturated_share, signals, without_dropout

LOGITS = torch.tensor([[2.0, -1.0, 0.0], [0.0, 1.0, -1.0], [0.5, 0.2, 3.0], [1.0, -2.0, 0.1]])
CLASSES = torch.tensor([0, 1, 2, 0])
VALUES = torch.tensor([0.1, -0.4, 2.0, 1.0])


def test_probabilities_are_known():
    assert of.are_probabilities(LOGITS.softmax(dim=1))
    assert of.are_probabilities(VALUES.sigmoid())
    assert not of.are_probabilities(LOGITS)
    assert not of.are_probabilities(LOGITS.sigmoid())


def test_losses_that_take_a_softmax_are_known():
    assert of.takes_softmax(functional.cross_entropy, LOGITS, CLASSES)
    assert not of.takes_softmax(functional.nll_loss, LOGITS, CLASSES)
    binary = torch.tensor([0.0, 1.0, 1.0, 0.0])
    assert of.takes_softmax(functional.binary_cross_entropy_with_logits, VALUES, binary)
    assert not of.takes_softmax(functional.binary_cross_entropy, VALUES.sigmoid(), binary)
    assert not of.takes_softmax(functional.mse_loss, VALUES, binary)


def test_losses_of_log_probabilities_are_known():
    assert of.is_negative_log(functional.nll_loss, LOGITS, CLASSES)
    assert not of.is_negative_log(functional.cross_entropy, LOGITS, CLASSES)
    assert of.log_sum_off(LOGITS.log_softmax(dim=1)) < 1e-6
    assert of.log_sum_off(LOGITS) > 0.5


def test_a_loss_that_broadcasts_does_not_pair():
    def spread_out(out, y):
        return ((out - y) ** 2).mean()

    assert of.ignores_pairing(spread_out, VALUES[:, None], VALUES)
    assert not of.ignores_pairing(spread_out, VALUES, VALUES)
    assert not of.ignores_pairing(spread_out, VALUES, VALUES * 2e3 + 5e4)
    assert not of.ignores_pairing(functional.cross_entropy, LOGITS, CLASSES)


@pytest.mark.parametrize(
    ("loss", "answers", "targets"),
    [
        (functional.cross_entropy, LOGITS, CLASSES),
        (functional.mse_loss, VALUES, VALUES),
        (functional.nll_loss, LOGITS.log_softmax(dim=1), CLASSES),
        (functional.binary_cross_entropy, VALUES.sigmoid(), torch.tensor([0.0, 1.0, 1.0, 0.0])),
        (functional.binary_cross_entropy_with_logits, VALUES, torch.tensor([0.0, 1.0, 1.0, 0.0])),
    ],
)
def test_the_sign_of_a_loss(loss, answers, targets):
    assert of.sign_gap(loss, answers, targets) < 0
    assert of.sign_gap(lambda out, y: -loss(out, y), answers, targets) > 0


def test_ignorant_answers_have_the_loss_of_chance():
    plain = functional.cross_entropy(of.ignorant_answers(LOGITS), CLASSES)
    assert float(plain) == pytest.approx(1.0986, abs=1e-4)
    logs = functional.nll_loss(of.ignorant_answers(LOGITS.log_softmax(dim=1)), CLASSES)
    assert float(logs) == pytest.approx(1.0986, abs=1e-4)


def test_equal_units_of_a_hidden_layer_are_found():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    nn.init.zeros_(model[2].weight)  # the last layer may begin at zero
    assert of.symmetric_layers(model) == []
    nn.init.constant_(model[0].weight, 0.1)
    assert of.symmetric_layers(model) == ["0"]


def test_what_bends_is_not_linear():
    first, second = torch.randn(8, 3), torch.randn(8, 3)
    flat = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    bent = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert of.nonlinearity(flat, first, second) < 1e-5
    assert of.nonlinearity(bent, first, second) > 1e-2


def test_parameters_that_do_not_learn_are_counted_by_their_numbers():
    model = nn.Sequential(nn.Linear(3, 1), nn.Linear(1, 1))  # 4 and 2 numbers
    model[1](model[0](torch.ones(2, 3)).detach()).sum().backward()
    assert of.without_gradient(model.parameters()) == pytest.approx(4 / 6)
    optimiser = torch.optim.SGD(model[0].parameters(), lr=0.1, weight_decay=0.1)
    assert of.not_optimised(model, optimiser) == pytest.approx(2 / 6)
    assert of.decayed_vectors(optimiser) == 1


def test_columns_without_a_gradient_are_unreached():
    rows = torch.randn(5, 4)
    rows[:, 3] = 1.0  # does not change, and so does not count
    gradient = torch.ones(5, 4)
    gradient[:, 1] = 0.0
    assert of.unreached_share([gradient], [rows]) == pytest.approx(1 / 3)


def test_spread_and_change_are_relative():
    answers = torch.tensor([[10.0], [10.0]])
    assert of.spread_over_rows(answers) == 0.0
    assert of.spread_over_rows(torch.tensor([1.0, -1.0])) > 1.0
    assert of.largest_change(answers, answers + 1.0) == pytest.approx(0.1)


def test_activations_are_seen_as_modules_and_as_functions():
    rows = torch.tensor([[-1.0, 5.0], [-2.0, 5.0]])
    with Activations() as seen:
        hidden = torch.tanh(functional.relu(nn.ReLU()(rows)))
        out = torch.sigmoid(hidden)
    assert len(seen.zeroing) == 2
    assert seen.dead(out) == 0.5
    assert seen.saturated(out) == 0.5  # tanh(5); the answer itself is not a hidden layer


def test_units_are_columns_or_channels():
    assert dead_share(torch.tensor([[0.0, 1.0], [0.0, 0.0]])) == 0.5
    pictures = torch.zeros(2, 3, 4, 4)
    pictures[0, 0, 1, 1] = 1.0
    assert dead_share(pictures) == pytest.approx(2 / 3)
    assert saturated_share(torch.tensor([-0.99, 0.0, 0.99, 0.5]), -1.0) == 0.5
    assert saturated_share(torch.tensor([-0.99, 0.5]), 0.0) == 0.5


def test_what_is_watched_is_let_go_again():
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1))
    with signals(model) as found, modes(model) as seen, without_dropout(model):
        model(torch.randn(4, 2))
        assert model[1].p == 0.0
    assert (len(found), seen, model[1].p) == (1, [True], 0.5)
    model(torch.randn(4, 2))
    assert len(found) == len(seen) == 1
