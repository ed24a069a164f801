"""Looks at the same test rows: counted over the runs of a folder, and corrected for."""

import json

import numpy as np
import polars as pl
import pytest

from assay.data.infer import infer
from assay.data.reading.read import read
from assay.data.rows import complete, fingerprint, with_columns
from assay.data.schema import Hints
from assay.evaluate.config import EvaluateConfig
from assay.evaluate.looks import look_again, note_looks, row_hashes, seal_of, sealed_among, surer
from assay.ledger import Ledger, Outcome

SEALED, SOURCE = "a" * 64, "s" * 64


def run(folder, name, config, *, sealed=SEALED, opened=1, limited=False):
    """A run as its report tells of it."""
    directory = folder / name
    directory.mkdir()
    report = {
        "split": {"sealed_sha256": sealed, "opened": opened}, "config": config, "source": {"sha256": SOURCE},
        "ledger": [{"practice": "train.budget", "outcome": "applied" if limited else "passed"}],
    }  # fmt: skip
    (directory / "report.json").write_text(json.dumps(report))
    return directory


def looks(folder, config, *, is_exact=True):
    return seal_of(folder / "new", SEALED, config, SOURCE, 0.95, is_exact=is_exact)


def test_the_first_look_is_not_corrected(tmp_path):
    seal = looks(tmp_path, {"seed": 0})
    assert (seal.looks, seal.runs, seal.corrected) == (1, (), pytest.approx(0.95))
    config = EvaluateConfig()
    assert surer(config, seal) is config
    assert surer(config, None) is config


def test_later_looks_share_what_may_go_wrong(tmp_path):
    run(tmp_path, "one", {"seed": 1})
    run(tmp_path, "two", {"seed": 2})
    run(tmp_path, "other", {"seed": 3}, sealed="b" * 64)
    seal = looks(tmp_path, {"seed": 0})
    assert (seal.looks, seal.runs) == (3, ("one", "two"))
    assert seal.corrected == pytest.approx(1 - 0.05 / 3)
    assert surer(EvaluateConfig(), seal).confidence == seal.corrected


def test_a_repeat_asks_nothing_new(tmp_path):
    run(tmp_path, "same", {"seed": 0})
    assert looks(tmp_path, {"seed": 0}).looks == 1
    assert looks(tmp_path, {"seed": 0}, is_exact=False).looks == 2
    run(tmp_path, "hurried", {"seed": 0}, limited=True)
    assert looks(tmp_path, {"seed": 0}).runs == ("hurried",)


def test_without_test_rows_there_is_no_seal(tmp_path):
    assert seal_of(tmp_path / "new", None, {}, SOURCE, 0.95, is_exact=True) is None


def test_damaged_reports_and_other_folders_are_passed_over(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "report.json").write_text(f'{{"{SEALED}')
    (tmp_path / "empty").mkdir()
    assert looks(tmp_path, {}).looks == 1
    assert seal_of(tmp_path / "none" / "new", SEALED, {}, SOURCE, 0.95, is_exact=True).looks == 1


def test_evaluations_of_sealed_rows_are_written_down_and_counted(tmp_path):
    directory = run(tmp_path, "one", {"seed": 1})
    assert look_again(directory, SEALED, 0.95, "30 rows").looks == 2
    assert look_again(directory, SEALED, 0.95, "30 rows").looks == 3
    assert looks(tmp_path, {"seed": 0}).looks == 4
    lines = (directory / "looks.jsonl").read_text().splitlines()
    assert [json.loads(line)["why"] for line in lines] == ["30 rows", "30 rows"]


def test_the_ledger_says_so_from_the_second_look_on(tmp_path):
    ledger = Ledger()
    ledger.record("split.sealed-test", Outcome.APPLIED, "30 rows opened once", value=1)
    note_looks(looks(tmp_path, {}), ledger)
    assert ledger["split.sealed-test"].outcome is Outcome.APPLIED
    run(tmp_path, "one", {"seed": 1})
    note_looks(looks(tmp_path, {}), ledger)
    verdict = ledger["split.sealed-test"]
    assert (verdict.outcome, verdict.value) == (Outcome.WARNED, 2)
    assert "looked at once before by runs of this folder (one)" in verdict.reason
    assert "97.5 %" in verdict.reason


# Rows that come again


@pytest.fixture
def rows():
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": draw.integers(0, 10_000, 60),
            "word": draw.choice(["a", "b", "c"], 60),
            "y": draw.choice(["no", "yes"], 60),
        }
    )
    table = read(frame)
    schema = infer(table, Hints(target="y"))

    def of(some):
        return complete(with_columns(read(some), schema, "test"), schema, "test")

    return frame, schema, of


def test_a_row_has_the_same_hash_whatever_spelled_its_numbers(rows):
    frame, schema, of = rows
    as_float = frame.with_columns(pl.col("x").cast(pl.Float64))
    np.testing.assert_array_equal(row_hashes(of(frame), schema), row_hashes(of(as_float), schema))
    assert len(np.unique(row_hashes(of(frame), schema))) == 60


def test_sealed_rows_are_found_again_in_any_order_and_among_others(rows):
    frame, schema, of = rows
    sealed = of(frame[:20])
    sha, hashes = fingerprint(sealed), row_hashes(sealed, schema)
    assert sealed_among(sealed, schema, sha, 20, None) == 20
    assert sealed_among(of(frame[:20].reverse()), schema, sha, 20, hashes) == 20
    assert sealed_among(of(frame), schema, sha, 20, hashes) == 20  # all of them, among others
    assert sealed_among(of(frame[:5]), schema, sha, 20, hashes) == 5  # nothing but sealed rows
    assert sealed_among(of(frame[20:]), schema, sha, 20, hashes) == 0
    assert sealed_among(of(frame[15:]), schema, sha, 20, hashes) == 0  # a few, which may be chance
    assert sealed_among(of(frame[:20].reverse()), schema, sha, 20, None) == 0
    assert sealed_among(sealed, schema, None, 0, hashes) == 0


def test_series_and_pictures_count_by_what_they_hold(tmp_path):
    draw = np.random.default_rng(1)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    for at in range(60):
        content = bytes(draw.integers(0, 255, 20, dtype=np.uint8))
        for folder in ("here", "there"):
            (tmp_path / folder / f"{at}.png").write_bytes(content)
    steps = draw.normal(size=(60, 5))
    found = []
    for folder in ("here", "there"):
        paths = [str(tmp_path / folder / f"{at}.png") for at in range(60)]
        frame = pl.DataFrame({"beat": list(steps), "photo": paths, "y": ["no", "yes"] * 30})
        table = read(frame)
        schema = infer(table, Hints(target="y"))
        rows = complete(table, schema, "test")
        found.append((row_hashes(rows, schema), fingerprint(rows, schema.pictures)))
        for name in ("beat", "photo"):
            single = infer(table, Hints(target="y", drop=("photo" if name == "beat" else "beat",)))
            assert len(np.unique(row_hashes(complete(table, single, "test"), single))) == 60
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
