"""`assay doctor` on the example, as a user types it."""

import json
from pathlib import Path

from assay.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "doctor" / "digits.py"


def test_a_broken_training_is_refused_with_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    assert main(["doctor", f"{EXAMPLE}:broken", "--json", "--steps", "30", "--seconds", "300"]) == 3
    found = json.loads(capsys.readouterr().out)
    fired = {each["rule"]: each for each in found["findings"] if each["outcome"] == "fired"}
    assert {"start.double-softmax", "run.zero-grad", "loader.same-order"} <= set(fired)
    assert fired["run.zero-grad"]["level"] == "block"
    assert "zero_grad" in fired["run.zero-grad"]["fix"]


def test_a_healthy_training_passes(capsys, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    assert main(["doctor", f"{EXAMPLE}:healthy", "--all", "--steps", "100", "--seconds", "300"]) == 0
    out, progress = capsys.readouterr()
    assert "start.overfit-batch" in out
    assert "blocks" not in out
    assert progress.splitlines() == ["load", "before", "at the start", "during", "after"]


def test_the_rules_are_listed_without_torch(capsys):
    assert main(["doctor", "--rules", "--json"]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert len(rules) > 50
    assert all(rule["source"] and rule["fix"] for rule in rules)
    assert main(["doctor"]) == 2
