"""Print docs/guide/options.md: every option of a run, from the configuration itself."""

import sys

from assay.compose.run_config import Option, options

HEAD = """# Options

Every option of a run with its default. Set one on the command line as `key=value`, as in
`assay fit data.csv --target churn model.width=64`, or in a file for `--config`, which `assay init` starts for you.

This page is made by `make docs` from the `config.py` of each stage.
"""


def page() -> str:
    """The page, one table a section, ending in a newline."""
    sections: dict[str, list[Option]] = {}
    for option in options():
        sections.setdefault(option.key.rpartition(".")[0], []).append(option)
    return HEAD + "".join(_section(name, found) for name, found in sections.items())


def _section(name: str, found: list[Option]) -> str:
    title = f"`{name}`" if name else "The run"
    lines = ["", f"## {title}", "", "| option | default | may be | what it does |", "|---|---|---|---|"]
    for option in found:
        default = f"`{option.shown_default}`" if option.shown_default else "none"
        lines.append(f"| `{option.key}` | {default} | {option.allowed_in_words} | {option.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
