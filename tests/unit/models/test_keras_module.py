"""Real Keras models on the torch backend."""

import sys
import types

import pytest
import torch

from assay.data.encoding.encode import Encoded, Layout
from assay.errors import ConfigError
from assay.models.examine import examine
from assay.models.foreign import ForeignNetwork
from assay.models.keras_module import KerasModule, is_keras
from assay.models.opening import Sizes, is_factory, open_model

LAYOUT = Layout(numbers=4, extras=0, vocabularies=())
ROWS = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


def encoded(rows=ROWS):
    return Encoded(rows, torch.zeros(len(rows), 0), torch.zeros(len(rows), 0, dtype=torch.int32))


@pytest.fixture
def sequential(keras):
    """A function that makes a Sequential of 4 inputs out of its last layers."""

    def make(*last, built=False):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Dense(10, activation="relu"), *last]
        return keras.Sequential([keras.Input((4,)), *layers] if built else layers)

    return make


def logits(module):
    module.eval()
    with torch.no_grad():
        return module(ROWS)


def test_the_classic_example_gives_the_logits_of_its_probabilities(keras, sequential):
    model = sequential(keras.layers.Dense(1, activation="sigmoid"))
    assert not model.built
    module = KerasModule(model, inputs=4, outputs=2)
    assert model.built
    found = logits(module)
    assert found.shape == (12, 1)
    expected = torch.as_tensor(model(ROWS, training=False)).detach()
    torch.testing.assert_close(found.sigmoid(), expected)
    assert bool((expected > 0).all())
    assert bool((expected < 1).all())
    assert model.layers[-1].activation is keras.activations.sigmoid  # the model is as it was
    assert module.shown == "Sequential(Dense 10 relu, Dense 1 sigmoid)"
    assert module.notes == ("its last activation, sigmoid, is taken off for logits, and is in the saved model",)


@pytest.mark.parametrize("built", [True, False])
@pytest.mark.parametrize("end", ["activation", "layer", "softmax layer", "nested", "log"])
def test_a_softmax_is_taken_off_wherever_it_stands(keras, sequential, end, built):
    layers = keras.layers
    last = {
        "activation": [layers.Dense(3, activation="softmax")],
        "layer": [layers.Dense(3), layers.Activation("softmax")],
        "softmax layer": [layers.Dense(3), layers.Softmax()],
        "nested": [keras.Sequential([layers.Dense(5), layers.Dense(3, activation="softmax")])],
        "log": [layers.Dense(3, activation="log_softmax")],
    }[end]
    model = sequential(*last, built=built)
    module = KerasModule(model, inputs=4, outputs=3)
    expected = torch.as_tensor(model(ROWS, training=False)).detach()
    found = logits(module)
    torch.testing.assert_close(found.log_softmax(-1) if end == "log" else found.softmax(-1), expected)
    assert float(found.logsumexp(-1).abs().max()) > 1e-3


def test_a_functional_model_is_opened_at_its_output(keras):
    inputs = keras.Input((4,))
    wide = keras.layers.Dense(8, activation="tanh")(inputs)
    joined = keras.layers.Concatenate()([inputs, wide])
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(joined))
    found = logits(KerasModule(model, inputs=4, outputs=2))
    torch.testing.assert_close(found.sigmoid(), torch.as_tensor(model(ROWS, training=False)).detach())


def test_labels_end_in_sigmoids(keras, sequential):
    model = sequential(keras.layers.Dense(3, activation="sigmoid"))
    found = logits(KerasModule(model, inputs=4, outputs=3, has_labels=True))
    torch.testing.assert_close(found.sigmoid(), torch.as_tensor(model(ROWS, training=False)).detach())
    other = sequential(keras.layers.Dense(3, activation="softmax"))
    with pytest.raises(
        ConfigError, match=r"for 3 labels must end in a sigmoid of 3 units or no activation, but .*softmax"
    ):
        KerasModule(other, inputs=4, outputs=3, has_labels=True)


def test_a_model_without_a_last_activation_is_left_alone(keras, sequential):
    module = KerasModule(sequential(keras.layers.Dense(3)), inputs=4, outputs=3)
    assert module.notes == ()
    assert logits(module).shape == (12, 3)


def test_training_and_answering_are_told_apart(keras, sequential):
    module = KerasModule(sequential(keras.layers.Dropout(0.5), keras.layers.Dense(3)), inputs=4, outputs=3)
    assert torch.equal(logits(module), logits(module))
    module.train()
    assert not torch.equal(module(ROWS), module(ROWS))


def test_statistics_of_batch_norm_are_seen_and_move(keras, sequential):
    model = sequential(keras.layers.BatchNormalization(), keras.layers.Dense(1))
    network = ForeignNetwork(KerasModule(model, inputs=4, outputs=2), LAYOUT, 2)
    statistics = network.statistics()
    moving = [name for name in statistics if name.endswith(("moving_mean", "moving_variance"))]
    assert len(moving) == 2
    before = [statistics[name].clone() for name in moving]
    network.train()
    network(ROWS, torch.zeros(12, 0), torch.zeros(12, 0, dtype=torch.int32))
    assert not any(torch.equal(old, statistics[name]) for old, name in zip(before, moving, strict=True))
    learned = {name.rpartition("/")[2] for name, p in network.named_parameters() if p.requires_grad}
    assert learned == {"kernel", "bias", "gamma", "beta"}


def test_parameters_are_called_alike_however_many_models_there_were(keras, sequential):
    found = []
    for _ in range(2):
        model = sequential(keras.layers.BatchNormalization(), keras.layers.Dense(1))
        network = ForeignNetwork(KerasModule(model, inputs=4, outputs=2), LAYOUT, 2)
        assert set(network.statistics()) < {name for name, _ in network.lasting_parameters()}
        found.append([name for name, _ in network.lasting_parameters()])
    assert found[0] == found[1]
    assert {name.partition(".")[2].partition(".")[2] for name in found[0]} >= {
        "dense/kernel",
        "batch_normalization/beta",
    }


def test_regularisers_are_a_penalty_on_the_loss(keras):
    kernel = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))
    network = ForeignNetwork(KerasModule(keras.Sequential([keras.Input((4,)), kernel]), inputs=4, outputs=2), LAYOUT, 2)
    network(ROWS, torch.zeros(12, 0), torch.zeros(12, 0, dtype=torch.int32))
    weight = torch.as_tensor(kernel.kernel.value)
    torch.testing.assert_close(network.penalty(), 0.1 * weight.square().sum().reshape(1))
    assert network.penalty().requires_grad


def test_an_unbuilt_subclass_is_built_by_the_first_rows(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = keras.layers.Dense(5, activation="relu"), keras.layers.Dense(2)

        def call(self, rows, training=False):
            return self.last(self.first(rows))

    model = Net()
    network = ForeignNetwork(KerasModule(model, inputs=4, outputs=2), LAYOUT, 2)
    assert examine(network, encoded()).fewest_rows == 1
    assert sum(parameter.numel() for parameter in network.parameters()) == 4 * 5 + 5 + 5 * 2 + 2


def test_a_subclass_that_ends_in_probabilities_is_refused(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.last = keras.layers.Dense(2, activation="softmax")

        def call(self, rows):
            return self.last(rows)

    with pytest.raises(ConfigError, match="its answers on the first rows are probabilities"):
        examine(ForeignNetwork(KerasModule(Net(), inputs=4, outputs=2), LAYOUT, 2), encoded())


def test_models_and_classes_of_keras_are_known(keras, sequential):
    model = sequential(keras.layers.Dense(3))
    assert is_keras(model)
    assert not is_factory(model)
    opened = open_model(model, Sizes(4, 3, 4, 0, ()))
    assert (opened.kind, opened.name) == ("keras", "keras.src.models.sequential.Sequential")
    made = open_model(lambda inputs, outputs: sequential(keras.layers.Dense(outputs)), Sizes(4, 3, 4, 0, ()))
    assert made.kind == "keras"
    assert not is_keras(torch.nn.Linear(1, 1))


def test_what_compile_was_told_is_said_to_have_no_effect(keras, sequential):
    model = sequential(keras.layers.Dense(3))
    model.compile(optimizer="sgd", loss="mse")
    assert "compile() was told has no effect" in KerasModule(model, inputs=4, outputs=3).notes[0]


@pytest.mark.parametrize(
    ("units", "activation", "outputs", "came"),
    [
        (2, "sigmoid", 2, "it ends in a sigmoid of 2 units"),
        (1, "softmax", 2, "it ends in a softmax of 1 unit"),
        (1, "sigmoid", 3, "it ends in a sigmoid of 1 unit"),
        (1, "sigmoid", 1, "the Keras model ends in sigmoid"),
    ],
)
def test_an_end_that_does_not_fit_the_task_is_refused(keras, sequential, units, activation, outputs, came):
    model = sequential(keras.layers.Dense(units, activation=activation))
    with pytest.raises(ConfigError, match=came):
        KerasModule(model, inputs=4, outputs=outputs)


def test_constraints_are_refused(keras, sequential):
    model = sequential(keras.layers.Dense(1, kernel_constraint="non_neg"), built=True)
    with pytest.raises(ConfigError, match=r"dense\w*/kernel has one"):
        KerasModule(model, inputs=4, outputs=2)


def test_another_number_of_features_is_quoted(keras, sequential):
    model = sequential(keras.layers.Dense(1), built=True)
    network = ForeignNetwork(KerasModule(model, inputs=3, outputs=2), Layout(3, 0, ()), 2)
    with pytest.raises(ConfigError, match=r"given a float32 tensor of shape \(12, 3\), it raised ValueError"):
        examine(network, encoded(ROWS[:, :3]))


def test_another_backend_is_refused_with_what_to_set(monkeypatch):
    # No other backend can be installed beside torch here: a class of Keras's that is no torch module stands for one.
    config = types.SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setitem(sys.modules, "keras", types.SimpleNamespace(config=config))
    model = type("Sequential", (), {"__module__": "keras.src.models.sequential"})()
    with pytest.raises(ConfigError, match=r"it is on the backend jax\. Set KERAS_BACKEND=torch in the environment"):
        open_model(model, Sizes(4, 2, 4, 0, ()))
