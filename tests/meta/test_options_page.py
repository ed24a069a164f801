"""docs/guide/options.md is what the configuration says, word for word."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_current():
    made = subprocess.run(
        [sys.executable, "scripts/options_page.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    page = (ROOT / "docs" / "guide" / "options.md").read_text(encoding="utf-8")
    assert page == made.stdout, "stale: regenerate it with `make docs`"
