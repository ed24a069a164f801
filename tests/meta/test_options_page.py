"""docs/guide/options.md and examples/assay.schema.json are what the configuration says, word for word."""

import json
import subprocess
import sys
from pathlib import Path

from assay.compose.json_schema import HEADER, json_schema

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    made = subprocess.run(
        [sys.executable, "scripts/options_page.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs" / "guide" / "options.md").read_text(encoding="utf-8")
    assert page == made.stdout, "stale: regenerate it with `make docs`"


def test_the_schema_of_the_example_is_current():
    schema = json.loads((ROOT / "examples" / "assay.schema.json").read_text(encoding="utf-8"))
    assert schema == json_schema(), "stale: regenerate it with `make docs`"
    first = (ROOT / "examples" / "config.yaml").read_text(encoding="utf-8").partition("\n")[0]
    assert first == f"{HEADER}assay.schema.json"
