"""Bad pictures, texts and series on the command line: one sentence and nothing left behind, or counted and said."""

from __future__ import annotations

import errno
import json
import random
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import assay
from assay.cli import main
from assay.errors import DataError
from assay.runs import open_run

Image = pytest.importorskip("PIL.Image")
QUICK = ["--quiet", "--budget", "none", "train.epochs=1", "evaluate.bootstrap=100", "evaluate.baselines=majority"]
PICTURES = [*QUICK, "ensemble.backbone=none", "model.width=8", "model.augment=none", "ensemble.views=none"]
SERIES = [*QUICK, "model.name=fcn", "model.width=8", "model.members=1"]


@pytest.fixture(autouse=True)
def own_excepthook():
    """`main` sets sys.excepthook, as the entry point of a process may."""
    before = sys.excepthook
    yield
    sys.excepthook = before


def refused(arguments, capsys, match, code=2):
    """The command ends with this code and one sentence."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("error: ")
    assert re.search(match, err), err


def findings(run):
    return {finding.check: finding for finding in open_run(run).report().findings}


def verdicts(run):
    return {verdict.practice: verdict for verdict in open_run(run).report().ledger}


# Pictures


def drawn(seed, side=16):
    rng = np.random.default_rng(seed)
    return rng.normal(70 + 110 * (seed % 2), 30, (side, side, 3)).clip(0, 255).astype(np.uint8)


def bomb() -> bytes:
    """A PNG of some bytes that claims 30,000 x 30,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def odd_files(folder: Path) -> dict[str, bool]:
    """Pictures in every form that is read, and what is none; each name with whether it can be read."""
    picture, grey = Image.fromarray(drawn(0)), Image.fromarray(drawn(0)[:, :, 0])
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("P").save(folder / "palette.png")
    picture.convert("RGBA").save(folder / "alpha.webp")
    grey.save(folder / "grey.bmp")
    Image.fromarray(drawn(0)[:, :, 0].astype(np.uint16) * 257).save(folder / "deep.tif")
    picture.save(folder / "moving.gif", save_all=True, append_images=[picture.rotate(90)] * 3)
    turned = Image.Exif()
    turned[274] = 6
    Image.fromarray(drawn(0)[:8]).save(folder / "turned.jpg", exif=turned)
    sound = [path.name for path in folder.iterdir() if not path.stem.isdecimal()]
    picture.save(folder / "whole.jpg")
    content = (folder / "whole.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "notes.txt").write_text("left out by its name")
    return dict.fromkeys([*sound, "whole.jpg"], True) | dict.fromkeys(
        ["cut.jpg", "text.png", "empty.png", "bomb.png"], False
    )


@pytest.fixture(scope="module")
def odd_run(tmp_path_factory):
    """A run on a folder of two classes with every odd file in one of them."""
    folder = tmp_path_factory.mktemp("odd")
    for at in range(40):
        (folder / "photos" / "ab"[at % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(at)).save(folder / "photos" / "ab"[at % 2] / f"{at:02}.png")
    files = odd_files(folder / "photos" / "a")
    assert main(["fit", str(folder / "photos"), "--out", str(folder / "run"), *PICTURES]) == 0
    return folder, files


def test_every_form_is_read_and_every_damaged_file_is_named(odd_run):
    folder, files = odd_run
    damaged = findings(folder / "run")["audit.picture-files"]
    assert damaged.count == sum(not sound for sound in files.values()) == 4
    assert all(name in damaged.what for name, sound in files.items() if not sound)
    split = open_run(folder / "run").report().split
    assert split.train_rows + split.valid_rows + split.test_rows == 40 + sum(files.values())
    assert any(
        "1 file of other endings left out: '.txt' 1" in note for note in open_run(folder / "run").report().source.notes
    )
    answers = open_run(folder / "run").predict(
        [folder / "photos" / "a" / name for name, sound in files.items() if sound]
    )
    assert answers.height == 8


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("cut.jpg", "(?i)truncated"),
        ("text.png", "its bytes are none of PNG"),
        ("empty.png", "it has no bytes"),
        ("bomb.png", r"it claims 30,000 x 30,000 pixels, more than 80,000,000|it claims more than 80,000,000 pixels"),
    ],
)
def test_what_is_no_picture_has_no_answer(odd_run, name, why, capsys, tmp_path):
    folder, _ = odd_run
    asked = ["predict", str(folder / "run"), str(folder / "photos" / "a" / name), "-o", str(tmp_path / "answers.csv")]
    refused(asked, capsys, why)
    assert list(tmp_path.iterdir()) == []


def bad_folders(folder: Path, name: str) -> None:
    folder.mkdir()
    if name == "files of other kinds":
        (folder / "a").mkdir()
        (folder / "a" / "x.txt").write_text("x")
    elif name in ("one class", "a class of one", "all damaged", "beside no class"):
        inner = folder if name == "beside no class" else folder / "a"
        inner.mkdir(exist_ok=True)
        for at in range(12):
            Image.fromarray(drawn(at)).save(inner / f"{at}.png")
        if name == "a class of one":
            for other, count in (("b", 12), ("c", 1)):
                (folder / other).mkdir()
                for at in range(count):
                    Image.fromarray(drawn(100 + at)).save(folder / other / f"{at}.png")
        if name == "all damaged":
            (folder / "b").mkdir()
            for path in sorted(inner.iterdir()):
                path.write_bytes(path.read_bytes()[:40])
                (folder / "b" / path.name).write_text("no picture")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("nothing", r"must hold pictures .*, but it holds 0 files"),
        ("files of other kinds", r"must hold pictures .*, but it holds 1 file: '.txt' 1"),
        ("one class", "must hold two classes or more, but all 12 pictures are of 'a'"),
        ("a class of one", r"every class of 'label' must have at least 2 rows, .*, but 'c' has 1"),
        ("all damaged", "pictures must be files that can be read"),
        ("beside no class", "must lie in the folder of its class, but 12 pictures of 12 lie beside no class"),
    ],
)
def test_a_folder_that_teaches_nothing_is_refused(name, match, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_folders(tmp_path / "photos", name)
    refused(["fit", "photos", *PICTURES], capsys, match)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_weights_that_are_a_pickle_or_of_another_network_are_refused(tmp_path, capsys, monkeypatch):
    torch, timm = pytest.importorskip("torch"), pytest.importorskip("timm")
    safetensors = pytest.importorskip("safetensors.torch")
    monkeypatch.chdir(tmp_path)
    network = timm.create_model("test_resnet")
    torch.save(network.state_dict(), "pickled.safetensors")
    safetensors.save_file(network.state_dict(), "other.safetensors")
    asked = ["fit", "nothing", "--target", "y", "ensemble.backbone=test_efficientnet", *QUICK]
    refused([*asked, "ensemble.backbone_weights=pickled.safetensors"], capsys, "holds a pickle, which can run code")
    refused([*asked, "ensemble.backbone_weights=other.safetensors"], capsys, "weights must be of test_efficientnet")
    refused([*asked, "ensemble.backbone_weights=none.safetensors"], capsys, "must be readable, but No such file")
    refused([*asked], capsys, "weights of test_efficientnet must be at hand")


def test_a_hub_out_of_reach_is_told_before_anything_is_read(tmp_path, capsys, monkeypatch):
    constants, _ = pytest.importorskip("huggingface_hub.constants"), pytest.importorskip("timm")
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    asked = ["fit", str(tmp_path / "nothing"), "--target", "y", "ensemble.backbone=hf:resnet18", *QUICK]
    refused(asked, capsys, r"the hub must be within reach for the weights of resnet18, .*ensemble.backbone_weights")


# Texts

ODD = [
    "",
    " ",
    "😀😀 👩‍👩‍👧",
    "שלום עולם \u202eabc",
    "مرحبا بالعالم",
    "a\u0301 e\u0301",
    "\u200b",
    "x" * 3000,
    "NULL",
    "日本語のテキスト",
]


def texts(rows=60) -> pl.DataFrame:
    draw = random.Random(0)
    words = ["good fine nice", "bad poor awful"]
    cells = [f"{words[at % 2]} film number {draw.randrange(99)} of the {draw.randrange(9)} best" for at in range(rows)]
    cells[: len(ODD)] = ODD
    cells[len(ODD)] = "good " * 200_000  # a million letters in a cell
    return pl.DataFrame({"said": cells, "y": ["up", "down"] * (rows // 2)})


@pytest.mark.parametrize("network", ["text_cnn", "mlp"])
def test_odd_texts_are_read_and_long_ones_counted(network, tmp_path, small_encoder):
    texts().write_parquet(tmp_path / "rows.parquet")
    options = [
        f"model.name={network}",
        "model.members=1",
        "ensemble.folds=1",
        "ensemble.tuned_layers=0",
        "model.width=8",
    ]
    options += [
        f"data.encode.text_encoder={small_encoder if network == 'mlp' else 'none'}",
        "--as",
        "said=text",
        "data.encode.text_window=64",
    ]
    asked = ["fit", str(tmp_path / "rows.parquet"), "--target", "y", "--out", str(tmp_path / "run"), *options, *QUICK]
    assert main(asked) == 0
    run = open_run(tmp_path / "run")
    assert run.bundle.verify() <= 1e-5
    assert run.predict(pl.DataFrame({"said": [*ODD, None]})).height == len(ODD) + 1
    assert verdicts(tmp_path / "run")["text.length"].outcome in ("warned", "applied")


def test_a_text_of_broken_letters_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "said,y\n" + "".join(f"naïve number {at},{'ab'[at % 2]}\n" for at in range(40))
    Path("rows.csv").write_bytes(rows.encode() + b"\xff\x81 odd,a\n")
    refused(["fit", "rows.csv", "--target", "y", *QUICK], capsys, "UTF-8, UTF-16 or Windows-1252, but byte")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


# Series


def steps(at, count):
    return [float(np.sin(0.3 * step * (1 + at % 2)) + 0.1 * ((at * 7 + step * 3) % 5)) for step in range(count)]


def test_short_empty_and_unequal_series_are_read_and_counted(tmp_path):
    rows = 60
    first = [steps(at, 10 + at % 7) for at in range(rows)]
    second = [steps(at + 1, 5 + at % 3) for at in range(rows)]
    first[:4] = [[], [1.0], None, [None, float("nan"), 2.0]]
    second[4] = [float("inf")] * 5
    frame = pl.DataFrame(
        {"one": first, "two": second, "none": [[None] * 4] * rows, "y": ["p", "q"] * (rows // 2)}, strict=False
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    asked = ["fit", str(tmp_path / "rows.parquet"), "--target", "y", "--out", str(tmp_path / "run"), *SERIES]
    assert main(asked) == 0
    run = open_run(tmp_path / "run")
    assert run.bundle.verify() <= 1e-5
    assert run.predict(frame.head(8)).height == 8
    told = " ".join(finding.what for finding in run.report().findings)
    assert "'none'" in told


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ([[]] * 40, "usable"),
        ([[None, None]] * 40, "usable"),
        ([["a", "b"]] * 40, "usable|text|classes"),
    ],
)
def test_series_of_nothing_are_refused(cells, match, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schema = {"one": pl.List(pl.String if cells[0] == ["a", "b"] else pl.Float64), "y": pl.String}
    pl.DataFrame({"one": cells, "y": ["p", "q"] * 20}, schema=schema).write_parquet("rows.parquet")
    refused(["fit", "rows.parquet", "--target", "y", *QUICK], capsys, match)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def long_table(times) -> str:
    draw, lines = random.Random(0), []
    for case in range(40):
        rows = [
            f"c{case},{time},{np.sin(0.3 * place * (1 + case % 2) + case):.3f},{'pq'[case % 2]}"
            for place, time in enumerate(times(case))
        ]
        draw.shuffle(rows)
        lines += rows
    return "case,t,v,y\n" + "\n".join(lines) + "\n"


def test_unsorted_times_are_sorted_and_cases_of_one_row_are_read(tmp_path):
    (tmp_path / "rows.csv").write_text(long_table(lambda case: range(1 if case < 4 else 12)))
    asked = ["fit", str(tmp_path / "rows.csv"), "--target", "y", "--out", str(tmp_path / "run"), *SERIES]
    assert main([*asked, "data.case=case", "data.step=t"]) == 0
    assert open_run(tmp_path / "run").report().table_schema.folding is not None
    assert json.loads((tmp_path / "run" / "report.json").read_text())["split"]["train_rows"] > 20


def test_times_that_repeat_within_a_case_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(long_table(lambda _: [0, 1, 2, 2, 3]))
    refused(
        ["fit", "rows.csv", "--target", "y", "data.case=case", "data.step=t", *SERIES],
        capsys,
        "a case must have each step once, .* the case .c0. has the step 2 more than once",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


# Pictures without files


def pixels(count=40, side=8):
    return np.stack([drawn(at, side) for at in range(count)])


LABELS = np.array(list("ab") * 20)


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (pixels(), LABELS[:39], "X and y must have as many rows, but X has 40 and y has 39"),
        (pixels()[:0], LABELS[:0], "X must hold rows, but it is empty"),
        (pixels().astype(object), LABELS, "X must hold numbers, but it holds objects"),
        (np.array([*pixels(39), None], dtype=object), LABELS, r"it has the shape \(40,\)"),
        (np.where(np.arange(40)[:, None, None, None] == 7, np.nan, pixels() / 255.0), LABELS, "it holds NaN"),
        (pixels() / 1.0, LABELS, "must hold uint8, uint16, or values of 0 to 1, but it holds float64 from"),
        (pixels()[:, :, :, :2], LABELS, r"with 1, 3 or 4 channels .*but it has \(40, 8, 8, 2\)"),
        (pixels(), np.full((40, 3), 0.3), r"\(rows, labels\) of 0 and 1 where a row has several labels, but it has"),
        (pixels(), np.array(["a"] * 40), "y must hold two classes or more, but all 40 pictures are of 'a'"),
        (pixels(), np.array(["a", None] * 20), "y must hold numbers or words, but row 2 holds None"),
        (pixels(2), LABELS[:2], "must have at least"),
    ],
)
def test_arrays_that_teach_nothing_are_refused(X, y, match, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=match):
        assay.fit(X, y, budget="none")
    assert list(tmp_path.rglob("*.*")) == []


def test_a_full_disk_under_arrays_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("assay.data.picture_sources.held.np.save", full)
    with pytest.raises(OSError, match="No space left"):
        assay.fit(pixels(), LABELS, budget="none")
    assert list(tmp_path.rglob("*.*")) == []


def bytes_table(files) -> pl.DataFrame:
    return pl.DataFrame({"photo": pl.Series(files, dtype=pl.Binary), "y": LABELS[: len(files)]})


def test_odd_bytes_in_cells_are_named_by_row_and_left_out(tmp_path):
    odd_files(tmp_path)
    sound = []
    for at in range(32):
        Image.fromarray(drawn(at)).save(tmp_path / "one.png")
        sound.append((tmp_path / "one.png").read_bytes())
    wrong = [(tmp_path / name).read_bytes() for name in ("cut.jpg", "text.png", "empty.png", "bomb.png")]
    odd = [(tmp_path / name).read_bytes() for name in ("cmyk.jpg", "alpha.webp", "deep.tif")]
    bytes_table([*sound, *wrong, None, *odd]).write_parquet(tmp_path / "rows.parquet")
    asked = ["fit", str(tmp_path / "rows.parquet"), "--target", "y", "--out", str(tmp_path / "run"), *PICTURES]
    assert main(asked) == 0
    found = findings(tmp_path / "run")["audit.picture-files"]
    assert found.count == 5
    for row, why in ((33, "[Tt]runcated"), (34, "its bytes are none"), (35, "it has no bytes"), (36, "claim")):
        assert re.search(f"'photo, row {row}': .*{why}", found.what), found.what
    assert found.rows[-1] == 37


def test_two_columns_of_pictures_are_told_with_the_way_out(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = []
    for at in range(40):
        Image.fromarray(drawn(at)).save("one.png")
        files.append(Path("one.png").read_bytes())
    Path("one.png").unlink()
    bytes_table(files).with_columns(back_side=pl.col("photo").reverse()).write_parquet("rows.parquet")
    refused(
        ["fit", "rows.parquet", "--target", "y", *PICTURES], capsys,
        "a row may have one picture, but 'photo', 'back_side' are columns of pictures. Leave all but one out: "
        "--drop back_side takes 'photo'",
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]
