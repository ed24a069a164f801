"""Trees as TreeEnsemble nodes answer as in torch: thresholds, short and long lists of codes, trees of one leaf."""

import numpy as np
import onnxruntime
import torch

from assay.bundle.trees import attributes, translations
from assay.data.encoding.encode import Encoded, Layout
from assay.models.ensemble import Ensemble
from assay.models.trees import Forest, Trees
from assay.train.families.booster import Booster, Columns, Learned

#: The second column has as many codes as a booster takes as categories, the third one more.
LAYOUT = Layout(numbers=2, extras=1, vocabularies=(6, 255, 256))
NAMES = ("numbers", "extras", "codes")


def rows_of(count: int, seed: int, first_code: int) -> Encoded:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(-20, 20, (count, 2), generator=generator).float() / 7.0
    extras = torch.randint(0, 2, (count, 1), generator=generator).float()
    codes = [torch.randint(first_code, size, (count,), generator=generator) for size in LAYOUT.vocabularies]
    return Encoded(numbers, extras, torch.stack(codes, 1))


def forest_of(rounds: int, seed: int) -> Forest:
    inputs = rows_of(3000, seed, 1)
    effect = torch.randn(256, generator=torch.Generator().manual_seed(9))
    values = effect[inputs.codes[:, 1]] + effect[inputs.codes[:, 2]] + inputs.numbers[:, 0] * (inputs.codes[:, 0] % 2)
    target = np.digitize(values.numpy(), [-0.5, 0.5]).astype(np.int64)
    rows = Learned(Columns.of(LAYOUT).matrix(inputs), target, None)
    booster = Booster(rows, rows, Columns.of(LAYOUT), rate=0.3, most=rounds, seed=seed)
    booster.grow(rounds)
    return booster.forest(np.zeros(3))


def session_of(trees: Trees, example: Encoded) -> onnxruntime.InferenceSession:
    program = torch.onnx.export(
        trees.eval(), (example.numbers, example.extras, example.codes), dynamo=True, opset_version=20, verbose=False,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},) * 3, input_names=NAMES,
        custom_translation_table=translations(Ensemble([trees])),
    )  # fmt: skip
    model = program.model_proto
    assert [node.op_type for node in model.graph.node].count("TreeEnsemble") == trees.members
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_the_file_answers_as_the_trees_do():
    leaf = Forest(
        feature=torch.tensor([0, 0]),
        threshold=torch.full((2,), np.inf),
        left=torch.tensor([0, 1]),
        value=torch.tensor([0.25, 0.5], dtype=torch.float64),
        offset=torch.tensor([-1, -1]),
        right=torch.tensor([False]),
        roots=torch.tensor([[0, 1]]),
        columns=torch.tensor([0, 2]),
        start=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64),
        depth=torch.tensor(0),
    )
    trees = Trees([forest_of(4, 0), forest_of(7, 1), leaf])
    rows = rows_of(2000, 5, 0)
    session = session_of(trees, rows[:3])
    expected = trees(rows.numbers, rows.extras, rows.codes).numpy()
    assert expected[2, 0].tolist() == [1.25, 2.0, 3.5]
    for size in (1, 2000):
        feed = {name: getattr(rows, name)[:size].numpy() for name in NAMES}
        np.testing.assert_allclose(session.run(None, feed)[0], expected[:, :size], rtol=1e-6, atol=1e-6)


def test_lists_leave_the_unknown_code_out():
    found = attributes(forest_of(3, 0))
    members = np.frombuffer(found["membership_values"].raw_data, np.float64)
    lists = int(np.isnan(members).sum())
    assert lists == np.frombuffer(found["nodes_modes"].raw_data, np.uint8).tolist().count(6) > 0
    assert np.nanmin(members) >= 1
    assert np.nanmax(members) > 64
