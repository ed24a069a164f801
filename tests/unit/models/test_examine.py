import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from assay.data.encoding.encode import Encoded, Layout
from assay.errors import ConfigError
from assay.models.examine import examine, refuse_probabilities
from assay.models.foreign import ForeignNetwork

LAYOUT = Layout(numbers=4, extras=0, vocabularies=())


def rows_of(count=40, layout=LAYOUT):
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(count, layout.numbers, generator=generator)
    codes = [torch.randint(0, size, (count, 1), generator=generator) for size in layout.vocabularies]
    joined = torch.cat(codes, dim=1).int() if codes else torch.zeros(count, 0, dtype=torch.int32)
    return Encoded(numbers, torch.zeros(count, layout.extras), joined)


def network(module, outputs=2, layout=LAYOUT, takes=()):
    torch.manual_seed(0)
    made = ForeignNetwork(module, layout, outputs, takes)
    made.reset([0], torch.zeros(outputs))
    return made


def perceptron(outputs=2, *end):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs), *end)


def refused(module, outputs=2, **others) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        examine(network(module, outputs, **others), rows_of(layout=others.get("layout", LAYOUT)))
    return caught.value


class From(nn.Module):
    """A module out of a function of it and its rows."""

    def __init__(self, answer, **parts):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 2)
        for name, part in parts.items():
            setattr(self, name, part)
        self.answer = answer

    def forward(self, rows):
        return self.answer(self, rows)


# What passes


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_a_sound_module_passes_and_is_left_as_it_was(outputs):
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, outputs))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    made = network(module, outputs)
    state = torch.get_rng_state()
    found = examine(made, rows_of())
    assert (found.fewest_rows, found.is_constant) == (2, False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_without_batch_norm_one_row_is_enough():
    assert examine(network(perceptron()), rows_of()).fewest_rows == 1


def test_lazy_layers_get_their_sizes():
    module = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
    assert examine(network(module), rows_of()).fewest_rows == 2
    assert (module[0].in_features, module[1].num_features, module[3].in_features) == (4, 8, 8)


def test_tied_weights_pass():
    module = From(
        lambda self, rows: functional.linear(rows @ self.linear.weight.T, self.tied, self.linear.bias[:1])[:, :1]
    )
    module.tied = nn.Parameter(torch.ones(4, 2))
    module.again = module.tied
    examine(network(module), rows_of())
    assert len(list(module.parameters())) == 3


def test_few_rows_are_enough():
    assert examine(network(perceptron()), rows_of(1)).fewest_rows == 1


class Several(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(5, 2)

    def forward(self, codes):
        return self.table(codes).sum(1)


def test_a_module_of_codes_alone_passes():
    layout = Layout(numbers=0, extras=0, vocabularies=(5, 5))
    examine(network(Several(), layout=layout, takes=("codes",)), rows_of(layout=layout))


def test_a_head_that_starts_at_zero_is_not_taken_for_probabilities():
    module = perceptron(1)
    nn.init.zeros_(module[-1].weight)
    nn.init.constant_(module[-1].bias, 0.4)
    assert examine(network(module), rows_of()).is_constant


def test_a_start_at_the_logarithm_of_the_prior_is_not_taken_for_probabilities():
    module = perceptron(3)
    nn.init.zeros_(module[-1].weight)
    module[-1].bias.data = torch.tensor([0.2, 0.3, 0.5]).log()
    assert examine(network(module, 3), rows_of()).is_constant


def test_small_positive_logits_are_not_taken_for_probabilities():
    module = From(lambda self, rows: 0.5 + 0.01 * self.linear(rows)[:, :1])
    assert not examine(network(module), rows_of()).is_constant


# What is refused


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.Softmax(1), nn.LogSoftmax(1), nn.Sequential(nn.Softmax(1))])
def test_a_last_softmax_or_sigmoid_is_to_be_removed(end):
    error = refused(perceptron(1 if isinstance(end, nn.Sigmoid) else 2, end))
    assert error.must.startswith("a classifier must return logits")
    name = type(end[-1] if isinstance(end, nn.Sequential) else end).__name__
    assert error.came == f"the module ends in {name}"
    assert error.do == "Remove the last softmax or sigmoid."


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (lambda self, rows: self.linear(rows)[:, :1].sigmoid(), "probabilities"),
        (lambda self, rows: self.linear(rows).softmax(1), "probabilities"),
        (lambda self, rows: self.linear(rows).log_softmax(1), "logarithms of probabilities"),
    ],
)
def test_answers_that_are_probabilities_are_seen_in_real_rows(answer, came):
    assert refused(From(answer)).came == f"its answers on the first rows are {came}"


def test_a_module_of_named_matrices_is_asked_further_out_too():
    class Numbers(nn.Linear):
        def forward(self, numbers):
            return super().forward(numbers).sigmoid()

    assert "probabilities" in refused(Numbers(4, 1), takes=("numbers",)).came


def test_probabilities_are_also_seen_after_training():
    module = From(lambda self, rows: self.linear(rows)[:, :1].sigmoid())
    nn.init.zeros_(module.linear.weight)
    made = network(module)
    assert examine(made, rows_of()).is_constant
    nn.init.normal_(module.linear.weight)
    with torch.no_grad(), pytest.raises(ConfigError, match="probabilities"):
        refuse_probabilities(made, rows_of())


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.ReLU(), nn.Tanh(), nn.Softplus()])
def test_values_must_not_be_bounded(end):
    error = refused(perceptron(1, end), 1)
    assert "the target is standardised" in error.must
    assert error.do == f"Remove the last {type(end).__name__}."


def test_a_module_without_parameters_is_refused():
    assert refused(nn.Flatten(), 4).came == "it has no parameters"


def test_a_frozen_module_is_refused():
    assert refused(perceptron().requires_grad_(False)).came == "it has 4 parameters, none of them with requires_grad"


def test_mixed_types_are_refused():
    class Mixed(From):
        def forward(self, rows):
            return self.linear(rows) + self.other(rows.double()).float()

    module = Mixed(None, other=nn.Linear(4, 2).double())
    assert refused(module).came == "they are float32, float64"


def test_doubles_are_refused():
    error = refused(perceptron().double())
    assert (error.came, error.do) == ("they are float64", "Convert the model with .float().")


def test_sparse_gradients_are_refused():
    layout = Layout(numbers=0, extras=0, vocabularies=(5, 5))
    module = Several()
    module.table = nn.Embedding(5, 2, sparse=True)
    error = refused(module, layout=layout, takes=("codes",))
    assert (error.came, error.do) == ("table makes sparse ones", "Give it sparse=False.")


def test_a_module_that_cannot_be_copied_or_pickled_passes():
    module = perceptron()
    module.lock, module.name = threading.Lock(), lambda: "x"
    examine(network(module), rows_of())


def test_parameters_elsewhere_are_refused():
    module = From(lambda self, rows: self.linear(rows), spare=nn.Linear(4, 2, device="meta"))
    error = refused(module)
    assert error.came == "its parameters are on cpu, meta"
    assert "train.device" in error.do


def test_two_parameters_in_one_memory_are_refused():
    module = From(lambda self, rows: self.linear(rows) + self.other(rows), other=nn.Linear(4, 2))
    module.other.weight.data = module.linear.weight.data
    assert refused(module).came == "linear.weight and other.weight are two parameters in one memory"


def test_nan_at_once_is_refused():
    module = From(lambda self, rows: self.linear(rows) / (rows[:, :1] > 0).float())
    error = refused(module)
    positive = int((rows_of().numbers[:, 0] > 0).sum())
    assert error.came == f"before any training it returns NaN or infinity for {40 - positive} of 40 rows"


@pytest.mark.parametrize(
    "answer",
    [
        lambda self, rows: functional.dropout(self.linear(rows), 0.5),
        lambda self, rows: self.linear(rows - rows.mean(0)),
    ],
)
def test_answers_must_depend_on_the_row_alone(answer):
    error = refused(From(answer))
    assert error.must == "in eval mode a model's answer must depend on the row alone"
    assert "training=self.training" in error.do


@pytest.mark.parametrize("answer", [lambda self, rows: self.linear(rows).detach(), lambda self, rows: rows[:, :2]])
def test_an_answer_without_a_gradient_is_refused(answer):
    assert refused(From(answer)).came == "no gradient leads from its answer to any of them"


def test_a_module_that_raises_in_training_alone_is_refused():
    def answer(self, rows):
        if self.training:
            raise ValueError("not here")
        return self.linear(rows)

    assert "it raised ValueError: not here" in refused(From(answer)).came


@pytest.mark.parametrize(
    "answer",
    [
        lambda self, rows: self.linear(rows) if rows.sum() > 0 else self.linear(-rows),
        lambda self, rows: self.linear(torch.from_numpy(rows.detach().numpy())),
    ],
)
def test_what_cannot_be_exported_is_refused_before_it_is_trained(answer):
    error = refused(From(answer))
    assert error.came.startswith(("torch.export raised ", "in eval mode", "row 1"))
    assert "torch.where" in error.do or "eval mode" in error.do


# Labels of which a row has any number


def of_labels(module, outputs=2):
    made = ForeignNetwork(module, LAYOUT, outputs, has_labels=True)
    made.reset([0], torch.zeros(outputs))
    return made


def test_labels_have_a_logit_each_and_may_sum_to_anything():
    made = of_labels(perceptron(2))
    assert examine(made, rows_of()).fewest_rows == 1
    assert made.single is False
    normalised = From(lambda own, rows: functional.log_softmax(own.linear(rows), dim=1))
    examine(of_labels(normalised), rows_of())  # odd, and as good a logit as any


@pytest.mark.parametrize("end", [functional.sigmoid, lambda found: found.softmax(1)])
def test_probabilities_of_labels_are_refused(end):
    with pytest.raises(ConfigError, match=r"takes the sigmoid of each label itself.* the first rows are probabilities"):
        examine(of_labels(From(lambda own, rows: end(own.linear(rows)))), rows_of())


def test_one_logit_for_two_labels_is_refused():
    with pytest.raises(ConfigError, match=r"a logit for each of the 2 labels, of shape \(rows, 2\), but for 40 rows"):
        examine(of_labels(perceptron(1)), rows_of())
