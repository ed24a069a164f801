import pytest

from assay.compose.files import read_yaml
from assay.errors import ConfigError


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "exp.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_scalars_follow_yaml_1_2(written):
    text = "{a: 3e-4, b: no, c: 1:30, d: 2020-01-01, e: 010, f: true, g: null, h: '1', i: -3, j: 1., k: 0x1F, l: ~}"
    assert read_yaml(written(text)).content == {
        "a": 3e-4,
        "b": "no",
        "c": "1:30",
        "d": "2020-01-01",
        "e": 10,
        "f": True,
        "g": None,
        "h": "1",
        "i": -3,
        "j": 1.0,
        "k": "0x1F",
        "l": None,
    }


def test_a_section_can_stay_text(written):
    text = "seed: 1\ntable:\n  positive: 1.50\n  group:\n  kinds: {2020: number, yes: text}\n"
    file = read_yaml(written(text), as_text="table")
    assert file.content == {
        "seed": 1,
        "table": {"positive": "1.50", "group": None, "kinds": {"2020": "number", "yes": "text"}},
    }


def test_every_key_has_its_line(written):
    file = read_yaml(written("# comment\nseed: 1\n\ntrain:\n  lr: 1\n  epochs: 2\n"))
    assert file.lines == {"seed": 2, "train": 4, "train.lr": 5, "train.epochs": 6}
    assert file.place("train.epochs") == "line 6 of exp.yaml"
    assert file.place("model.width") == "exp.yaml"


def test_an_empty_file_holds_nothing(written):
    assert read_yaml(written("# only a comment\n")).content is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is in line 1 and in line 3"),
        ("a: [1", "line 1, column 6"),
        ("a: 1\n\tb: 2", "line 2"),
        ("a: &x 1\nb: *x", "aliases"),
        ("a: !!python/object/apply:os.system ['true']", "tag"),
        ("a: !secret 1", "tag '!secret'"),
        ("? [1]\n: 2", "not a word"),
        ("a: 1\n---\na: 2", "another document"),
        (b"a: \xff", "byte 3 is not UTF-8"),
        (b"a: \x00", "special characters"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a: " + "x" * 1_000_001, "larger than 1 MB"),
    ],
)
def test_what_is_not_plain_yaml_is_refused(written, text, message):
    with pytest.raises(ConfigError, match=r"exp\.yaml") as caught:
        read_yaml(written(text))
    assert message in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)
