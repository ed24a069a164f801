import pytest

from assay.compose.check_file import check_file


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "exp.yaml"
        path.write_text(text)
        return path

    return write


def test_a_right_file_is_right(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = "table: {data: gone.csv, valid: 'part-*.csv', target: y}"
    found = check_file(written(f"seed: 1\n{table}\nmodel: tabm\ntrain:\n"))
    assert found.faults == ()
    assert found.options == 5
    assert found.composed.config.model.name == "tabm"
    assert found.missing == ("gone.csv",)


def test_every_fault_is_named_with_its_line(written):
    text = "seed: -1\ntrain:\n  lrr: 1\n  epochs: 0\n  lr: 0.1\ntable:\n  taget: y\nbudget: soon\nmodel: tabn\n"
    found = check_file(written(text))
    told = [str(fault) for fault in found.faults]
    assert len(told) == 6
    for words, line in (
        ("Did you mean 'train.lr'?", 3),
        ("train.epochs must be a whole number, at least 1", 4),
        ("budget must be a number", 8),
        ("Did you mean 'tabm'?", 9),
        ("seed must be a whole number", 1),
    ):
        assert any(words in each and f"line {line} of exp.yaml" in each for each in told), words
    assert any("Did you mean 'target'?" in each for each in told)
    assert found.composed is None


def test_what_must_fit_together_is_checked_when_each_is_right(written):
    found = check_file(written("train:\n  optimiser: sgd\n  momentum: 0.9\nmodel: {name: mlp, heads: 3}\n"))
    assert [fault.must for fault in found.faults] == ["model.heads belongs to tabm and tabm_mini"]
    assert check_file(written("train:\n  optimiser: sgd\n  momentum: 0.9\nseed: ${train.epochs}\n")).faults == ()
    assert len(check_file(written("data:\n  split: {valid: 0.6, test: 0.6}\n")).faults) == 1


def test_an_empty_file_is_right(written):
    assert check_file(written("")).faults == ()
    assert len(check_file(written("- 1\n")).faults) == 1
