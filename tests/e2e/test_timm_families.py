"""The smallest network of each family of timm is trained on a few pictures, saved, and answers without torch."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import assay

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("timm")
#: One step leaves answers so much alike that a fitted temperature would magnify what single precision rounds.
OPTIONS = [
    "model.name=timm", "model.augment=none", "train.epochs=1", "train.threads=1", "ensemble.backbone=none",
    "ensemble.views=none", "evaluate.bootstrap=100", "evaluate.baselines=majority", "evaluate.calibrate=none",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Thirty pictures of two classes, of 32 by 32 pixels."""
    rng, made = np.random.default_rng(0), tmp_path_factory.mktemp("photos")
    for label, mean in (("dark", 80), ("light", 170)):
        (made / label).mkdir()
        for place in range(15):
            pixels = rng.normal(mean, 30, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(made / label / f"{place:02}.png")
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["vgg11", "efficientnet_b0", "mobilenetv3_small_050", "convnext_atto", "vit_tiny_patch16_224"]
)
def test_it_is_trained_saved_and_answers_without_torch(name, folder, tmp_path):
    run = assay.fit(folder, out=tmp_path / "run", budget="none", overrides=[*OPTIONS, f"model.timm={name}"])
    (part,) = run.report().training.parts
    assert part.options["model.timm"] == name
    assert f": {name}" in run.scores[0].description
    assert run.report().parity.difference <= 1e-5
    program = (
        "import sys, assay\n"
        f"answers = assay.load({str(run.directory)!r}).predict({str(folder)!r})\n"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules)\n"
        f"answers.write_parquet({str(tmp_path / 'answers.parquet')!r})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    answers = pl.read_parquet(tmp_path / "answers.parquet")
    assert answers.height == 30
    assert answers["prediction"].is_in(["dark", "light"]).all()
