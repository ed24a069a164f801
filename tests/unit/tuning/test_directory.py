"""The directory of a study that was refused leaves nothing behind, its parents included."""

import pytest

from assay.errors import ConfigError
from assay.tuning.directory import begun


def refused(directory):
    (directory / "answers").mkdir()
    (directory / "answers" / "0.npy").write_bytes(b"0")
    raise ConfigError("no", "no", "no")


def test_a_study_that_is_refused_takes_its_new_parents_with_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="no"), begun(None, "data") as (directory, _):
        refused(directory)
    assert list(tmp_path.iterdir()) == []


def test_parents_that_were_there_stay(tmp_path):
    (tmp_path / "kept").mkdir()
    with pytest.raises(ConfigError, match="no"), begun(tmp_path / "kept" / "new" / "study", "data"):
        raise ConfigError("no", "no", "no")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept"]
