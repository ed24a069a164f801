"""The guard in conftest.py catches what it is there for."""

import subprocess
import sys
from pathlib import Path

import polars as pl

ROOT = Path(__file__).parents[2]

LEAKS = """
import os, threading, time

def test_variable(): os.environ["ASSAY_LEAK"] = "1"

def test_thread(): threading.Thread(target=time.sleep, args=(3,), name="leak").start()

def test_tidy(): threading.Thread(target=time.sleep, args=(0.01,)).start()
"""


def test_a_leak_fails_the_test(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_leak.py").write_text(LEAKS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "environment variables changed: ['ASSAY_LEAK']" in done.stdout
    assert "threads running: ['leak']" in done.stdout
    assert "3 passed, 2 errors" in done.stdout, done.stdout


def test_the_small_frame_is_what_it_says(adult_small):
    assert adult_small.shape == (600, 15)
    assert dict(adult_small["income"].value_counts().iter_rows()) == {"<=50K": 456, ">50K": 144}


def test_the_example_is_the_official_data(adult_train):
    train, test = pl.read_csv(adult_train), pl.read_csv(adult_train.with_name("test.csv.gz"))
    assert (train.height, test.height) == (32_561, 16_281)
    assert train.columns == test.columns
    assert train.columns[0] == "age"
    assert train.columns[-1] == "income"
    assert train["income"].value_counts().sort("income")["count"].to_list() == [24_720, 7_841]
