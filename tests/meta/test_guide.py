"""Tables of the guide that repeat the code agree with it."""

import inspect
import re
from pathlib import Path

from assay import errors
from assay.data.columns import MISSING_SPELLINGS, NUMERIC_MISSING_SPELLINGS
from assay.data.reading.containers import ENDINGS
from assay.data.schema import FEATURE_KINDS

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


def test_the_missing_spellings_are_those_of_the_code():
    section = (GUIDE / "data.md").read_text(encoding="utf-8").partition("## Missing")[2].partition("Each spelling")[0]
    everywhere, _, numeric = section.partition("Among numbers")
    assert set(re.findall(r"`([^`]+)`", everywhere)) == MISSING_SPELLINGS - {""}
    assert set(re.findall(r"`([^`]+)`", numeric)) == NUMERIC_MISSING_SPELLINGS - MISSING_SPELLINGS


def test_every_ending_that_is_read_is_listed():
    section = (GUIDE / "data.md").read_text(encoding="utf-8").partition("## Kinds")[0]
    rows = "".join(line.partition(" | ")[0] for line in section.splitlines() if line.startswith("| `."))
    assert set(re.findall(r"`(\.\w+)`", rows)) == set(ENDINGS) - {""}


def test_every_kind_a_network_takes_is_explained():
    rows = re.findall(r"^\| `(\w+)`", (GUIDE / "data.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {kind.value for kind in FEATURE_KINDS} <= set(rows)


def test_every_error_is_listed_with_its_code():
    page = (GUIDE / "exit-codes.md").read_text(encoding="utf-8")
    classes = [item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, errors.AssayError)]
    for item in classes:
        row = next(line for line in page.splitlines() if item.__name__ in line)
        assert item is errors.AssayError or f"| {item.exit_code} |" in row, item.__name__
