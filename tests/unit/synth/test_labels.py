"""Several labels a row are taken apart and come back as they were written."""

import numpy as np
import polars as pl
import pytest

from assay.data.config import DataConfig
from assay.data.infer import infer
from assay.data.labelled import find_labels, with_label_column
from assay.data.reading.read import read
from assay.data.schema import Hints
from assay.synth.codec import Codec
from assay.synth.labels import LabelForm

X = [0.5 * (at * 7 % 11) for at in range(24)]
SETS = [["war", "drama"], ["drama"], [], ["war"], ["drama", "war"], ["once"]] * 4


def opened(frame, target="y"):
    table = read(frame)
    found = find_labels(table, Hints(target=target), DataConfig())
    table = with_label_column(table, found.labelling, found.hints.target)
    return table.frame, infer(table, found.hints, found.labelling)


def test_lists_are_columns_of_0_and_1_and_lists_again():
    frame, schema = opened(pl.DataFrame({"x": X, "y": SETS}))
    form = LabelForm.of(schema, frame.columns)
    spread = form.spread(frame)
    assert spread.columns == ["x", "y: drama", "y: once", "y: war"]
    assert spread["y: war"].to_list()[:6] == [1, 0, 0, 1, 1, 0]
    assert form.joined(spread).to_list()[:4] == ['["drama", "war"]', '["drama"]', "[]", '["war"]']
    assert form.plain(form.plain(frame)).equals(form.plain(frame))
    assert LabelForm.of(schema.model_copy(update={"labelling": None}), []) is None


def test_joined_words_and_columns_come_back_as_they_were():
    words = ["|".join(labels) for labels in SETS]
    frame, schema = opened(pl.DataFrame({"y: war": X, "y": words}))
    form = LabelForm.of(schema, frame.columns)
    assert form.names == ("y: drama", "y: once", "y: war_")
    assert form.plain(frame)["y"].to_list()[:3] == ["drama|war", "drama", ""]
    wide = pl.DataFrame({"a": [0, 1, 1, 0] * 6, "x": X, "b": [1, 1, 0, 0] * 6})
    frame, schema = opened(wide, "a,b")
    form = LabelForm.of(schema, frame.columns)
    assert form.as_given(form.plain(frame)).select(wide.columns).cast(dict(wide.schema)).equals(wide)


def test_a_block_holds_a_code_for_each_label():
    frame, schema = opened(pl.DataFrame({"x": X, "y": SETS, "c": ["p", "q"] * 12}))
    frame = LabelForm.of(schema, frame.columns).plain(frame)
    codec = Codec.fit(frame, schema, 10, np.random.default_rng(0))
    assert codec.layout.codes == ("y: drama", "y: once", "y: war", "c")
    assert codec.layout.target == ("code", 0)  # twelve of the rows have drama: no label is on a more even share
    assert list(codec.shown) == ["x", "y: drama", "y: once", "y: war", "c"]
    assert codec.write(codec.read(frame), 0, np.random.default_rng(0)).equals(frame)


@pytest.mark.parametrize("method", ["smote", "borderline"])
def test_rows_between_classes_are_not_made(method, tmp_path):
    import assay
    from assay.errors import ConfigError

    with pytest.raises(ConfigError, match=r"holds several labels a row .*--method copula"):
        assay.synthesise(pl.DataFrame({"x": X, "y": SETS}), "y", rows=5, method=method, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
