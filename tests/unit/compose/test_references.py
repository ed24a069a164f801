import pytest

from assay.compose.references import read_references
from assay.errors import ConfigError
from assay.evaluate.record import Reference


def test_yaml_and_json_are_read(tmp_path):
    expected = (Reference(model="XGB", metric="accuracy", value=0.873, source="a paper"),)
    (tmp_path / "a.yaml").write_text("- {model: XGB, metric: accuracy, value: 0.873, source: a paper}\n")
    (tmp_path / "a.json").write_text('[{"model": "XGB", "metric": "accuracy", "value": 0.873, "source": "a paper"}]')
    assert read_references(tmp_path / "a.yaml") == expected
    assert read_references(tmp_path / "a.json") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: XGB", "it holds a mapping"),
        ("", "it holds nothing"),
        ("[]", "it holds an empty list"),
        ("3", "it holds the value 3"),
        ("- {model: A, metric: b, value: high, source: c}", "entry 1: value"),
        ("- {model: A, metric: b, value: 1, source: c}\n- {model: A, metric: b, valu: 1, source: c}", "entry 2"),
        ("- 3", "entry 1: the entry"),
    ],
)
def test_another_shape_is_refused(tmp_path, text, message):
    (tmp_path / "refs.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_references(tmp_path / "refs.yaml")
    assert message in str(caught.value)
