"""The built wheel holds everything the package reads at run time, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    program = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / done.stdout.split()[-1]) as archive:
        yield archive


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    ours = {
        path.relative_to(SOURCE).as_posix()
        for path in (SOURCE / "assay").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == ours
    assert "assay/py.typed" in packed


@pytest.mark.parametrize(("folder", "ending"), [("compose/presets", ".yaml"), ("report/templates", "")])
def test_what_is_read_at_run_time_is_in_the_wheel(wheel, folder, ending):
    assert any(name.startswith(f"assay/{folder}/") and name.endswith(ending) for name in wheel.namelist())


def test_the_wheel_says_what_it_is(wheel):
    meta = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    text = wheel.read(meta).decode()
    assert "License-Expression: Apache-2.0" in text
    assert "Requires-Python: >=3.11" in text
    for extra in ("train", "excel", "pandas", "track", "keras", "lightning", "all"):
        assert f"Provides-Extra: {extra}\n" in text
    base = [line for line in text.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert sorted(line.split()[1].partition(">")[0] for line in base) == [
        "annotated-types",
        "numpy",
        "onnxruntime",
        "polars",
        "pydantic",
        "rich",
        "typer",
    ]
    points = next(name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert "assay = assay.cli:command_line" in wheel.read(points).decode()
