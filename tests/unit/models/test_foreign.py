import pytest
import torch
from torch import nn

from assay.data.encoding.encode import Layout
from assay.data.encoding.names import EncodedNames
from assay.errors import ConfigError
from assay.models.foreign import ONE_HOT_CODES, VECTOR_LENGTH, FeatureMatrix, ForeignNetwork, feature_names

LAYOUT = Layout(numbers=2, extras=1, vocabularies=(4, ONE_HOT_CODES + 1))
WIDTH = 2 + 1 + 4 + VECTOR_LENGTH


def inputs(rows=6, layout=LAYOUT, seed=0):
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(0, size, (rows, 1), generator=generator) for size in layout.vocabularies]
    return (
        torch.randn(rows, layout.numbers, generator=generator),
        torch.randn(rows, layout.extras, generator=generator),
        torch.cat(codes, dim=1).int() if codes else torch.zeros(rows, 0, dtype=torch.int32),
    )


def network(module, outputs=3, layout=LAYOUT, takes=()):
    made = ForeignNetwork(module, layout, outputs, takes)
    made.reset([0], torch.zeros(outputs))
    return made


# The matrix of features


def test_narrow_categories_are_one_hot_and_wide_ones_vectors():
    features = FeatureMatrix(LAYOUT)
    features.vectors.reset([torch.Generator().manual_seed(0)])
    numbers, extras, codes = inputs()
    made = features(numbers, extras, codes)
    assert made.shape == (6, WIDTH)
    assert features.width == WIDTH
    torch.testing.assert_close(made[:, :3], torch.cat([numbers, extras], dim=1), rtol=0, atol=0)
    assert torch.equal(made[:, 3:7], nn.functional.one_hot(codes[:, 0].long(), 4).float())
    table = features.vectors.table[0]
    assert torch.equal(made[:, 7:], table[codes[:, 1].long()])


def test_features_have_names_in_the_order_of_the_matrix():
    wide = ("unknown", "missing", *(f"c{place}" for place in range(ONE_HOT_CODES - 1)))
    names = EncodedNames(
        ("age", "pay"), ("age: is missing",), (("hue", ("unknown", "missing", "red", "=")), ("zip", wide))
    )
    found = feature_names(names)
    hot = ("hue is unknown", "hue is missing", "hue = red", "hue = =")
    assert found[:7] == ("age", "pay", "age: is missing", *hot)
    assert found[7:] == tuple(f"zip: vector {place}" for place in range(1, VECTOR_LENGTH + 1))
    assert len(found) == WIDTH


def test_a_table_of_numbers_alone_is_given_as_it_is():
    layout = Layout(numbers=4, extras=0, vocabularies=())
    numbers, extras, codes = inputs(layout=layout)
    assert torch.equal(FeatureMatrix(layout)(numbers, extras, codes), numbers)


# What a module may answer


def test_logits_of_classes_are_passed_on():
    module = nn.Linear(WIDTH, 3)
    made = network(module)
    given = inputs()
    expected = module(made.features(*given))
    assert torch.equal(made(*given), expected.unsqueeze(0))


@pytest.mark.parametrize("end", [nn.Identity(), nn.Flatten(0)])
def test_one_logit_of_two_classes_gives_the_same_probability(end):
    module = nn.Sequential(nn.Linear(WIDTH, 1), end)
    made = network(module, outputs=2)
    given = inputs()
    answers = made(*given)
    assert answers.shape == (1, 6, 2)
    logit = module(made.features(*given)).flatten()
    torch.testing.assert_close(answers.softmax(-1)[0, :, 1], logit.sigmoid())
    assert made(*inputs(1)).shape == (1, 1, 2)


class Squeezed(nn.Linear):
    """Ends as many scripts do: one row loses an axis too many."""

    def forward(self, rows):
        return super().forward(rows).squeeze()


@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_squeezed_answers_are_understood_also_for_one_row(outputs):
    made = network(Squeezed(WIDTH, outputs), outputs=outputs)
    many, one = made(*inputs(6)), made(*(part[:1] for part in inputs(6)))
    assert many.shape == (1, 6, outputs)
    torch.testing.assert_close(one, many[:, :1])


def test_values_may_have_one_axis_or_two():
    for end in (nn.Identity(), nn.Flatten(0)):
        made = network(nn.Sequential(nn.Linear(WIDTH, 1), end), outputs=1)
        assert made(*inputs()).shape == (1, 6, 1)


class Answering(nn.Module):
    """Answers with whatever the function makes of the features."""

    def __init__(self, answer):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.answer = answer

    def forward(self, rows):
        return self.answer(rows * self.weight)


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        (lambda rows: rows[:, :5], r"a float32 tensor of shape \(6, 5\)"),
        (lambda rows: rows[:, :3].T, r"a float32 tensor of shape \(3, 6\)"),
        (lambda rows: rows[:, 0], r"a float32 tensor of shape \(6,\)"),
        (lambda rows: rows[:, :3].long(), r"a int64 tensor of shape \(6, 3\)"),
        (lambda rows: (rows, rows), "a tuple of 2"),
        (lambda rows: None, "a NoneType"),
        (lambda rows: rows.mean(), r"a float32 tensor of shape \(\)"),
    ],
)
def test_an_answer_of_another_form_is_refused(answer, came):
    with pytest.raises(ConfigError, match=f"for 6 rows it returned {came}") as caught:
        network(Answering(answer))(*inputs())
    assert "a logit for each of the 3 classes, of shape (rows, 3)" in caught.value.must


def test_an_answer_may_not_change_its_form():
    made = network(Answering(lambda rows: rows[:, :1] if len(rows) > 3 else rows[:, :2]), outputs=2)
    assert made(*inputs(6)).shape == (1, 6, 2)
    with pytest.raises(ConfigError, match=r"for 3 rows it returned a float32 tensor of shape \(3, 2\)"):
        made(*inputs(3))


def test_what_a_module_raises_is_quoted_with_what_it_was_given():
    with pytest.raises(ConfigError) as caught:
        network(nn.Linear(4, 3))(*inputs())
    assert f"given a float32 tensor of shape (6, {WIDTH}), it raised RuntimeError: mat1 and mat2" in caught.value.came
    assert "describe_inputs" in caught.value.do
    assert isinstance(caught.value.__cause__, RuntimeError)


class Several(nn.Module):
    """Asks for two of the matrices by name."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 3)
        self.linear = nn.Linear(2, 3)

    def forward(self, numbers, codes):
        assert codes.dtype == torch.int64
        return self.linear(numbers) + self.table(codes[:, 0])


def test_a_module_may_ask_for_matrices_by_name():
    module = Several()
    made = network(module, takes=("numbers", "codes"))
    numbers, extras, codes = inputs()
    assert made.features is None
    assert torch.equal(made(numbers, extras, codes)[0], module(numbers=numbers, codes=codes.long()))
    assert set(made.inputs(numbers, extras, codes)) == {"numbers", "codes"}


# What the engine asks of a network


def test_matrices_decay_and_vectors_do_not():
    made = network(nn.Sequential(nn.Linear(WIDTH, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)))
    decayed = {name for name, (rate, decay) in made.factors().items() if decay}
    assert decayed == {"module.0.weight", "module.2.weight", "features.vectors.table"}
    assert all(rate == 1.0 for rate, _ in made.factors().values())


def test_statistics_are_every_buffer_and_what_is_frozen():
    module = nn.Sequential(nn.Linear(WIDTH, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    module[0].weight.requires_grad_(False)
    found = network(module).statistics()
    norm = ("running_mean", "running_var", "num_batches_tracked")
    assert set(found) == {"module.0.weight", *(f"module.1.{name}" for name in norm)}
    assert found["module.1.running_mean"] is module[1].running_mean


class Replacing(nn.Module):
    """Puts a new tensor in the place of its buffer, as hand-written averages do."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, 3)
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, rows):
        answer = self.linear(rows)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * answer.mean(0)
        return answer - self.mean


def test_a_buffer_that_is_replaced_stays_the_tensor_that_was_kept():
    module = Replacing()
    made = network(module)
    kept = made.statistics()["module.mean"]
    made.train()
    answers = made(*inputs())
    expected = 0.1 * module.linear(made.features(*inputs())).mean(0)
    assert module.mean is kept
    torch.testing.assert_close(kept, expected.detach())
    assert not kept.requires_grad
    answers.sum().backward()  # the graph of the pass is not hurt
    assert module.linear.weight.grad is not None


def test_the_weights_a_module_came_with_are_kept():
    module = nn.Linear(WIDTH, 3)
    before = module.weight.detach().clone()
    first, second = network(module), network(module)
    assert torch.equal(module.weight, before)
    assert torch.equal(first.features.vectors.table, second.features.vectors.table)
    assert first.penalty() is None
