import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import roc_auc_score

from assay.data.audit.pictures import (
    CHECKS,
    PictureView,
    damaged,
    difference_hash,
    duplicates,
    empty_pictures,
    near_duplicates,
    near_pairs,
    odd_sizes,
    shortcuts,
)
from assay.data.findings import Severity
from assay.data.pictures.picture import PictureFormat
from assay.data.pictures.store import store_pictures
from assay.ledger import Outcome

FORM = PictureFormat(height=24, width=24)


def scene(seed, height=24, width=24):
    """A picture of coarse random shapes, as photographs have them."""
    coarse = np.random.default_rng(seed).integers(30, 220, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def view_of(folder, images, labels=None, part=None, names=("data",), endings=None):
    """A view of pictures saved as PNG, or with endings of their own; bytes are written as they are."""
    places = []
    for row, image in enumerate(images):
        path = folder / f"{row}{endings[row] if endings else '.png'}"
        path.write_bytes(image) if isinstance(image, bytes) else image.save(path)
        places.append(str(path))
    store = store_pictures(pl.Series(places), FORM, folder / "kept", threads=1)
    n = len(images)
    labels = np.array(labels if labels is not None else [row % 2 for row in range(n)])
    part = np.array(part if part is not None else [0] * n)
    return PictureView(store, labels, ("cat", "dog", "emu"), part, names)


def test_clean_pictures_have_no_findings(tmp_path):
    view = view_of(tmp_path, [scene(seed) for seed in range(60)])
    answers = [check(view) for check in CHECKS]
    assert [answer.findings for answer in answers] == [()] * len(CHECKS)
    assert len({answer.practice for answer in answers}) == len(CHECKS)
    assert all(answer.practice.startswith("audit.picture-") for answer in answers)


# Hashes


@given(
    hashes=st.lists(st.integers(0, 2**64 - 1), max_size=30),
    flips=st.lists(st.tuples(st.integers(0, 29), st.lists(st.integers(0, 63), max_size=6)), max_size=30),
    most=st.integers(0, 6),
)
@settings(max_examples=80)
def test_all_near_pairs_are_found_once(hashes, flips, most):
    for place, bits in flips:
        if hashes:
            hashes.append(hashes[place % len(hashes)] ^ sum({1 << bit for bit in bits}))
    values = np.array(hashes, dtype=np.uint64)
    n = len(hashes)
    expected = [(i, j) for i in range(n) for j in range(i + 1, n) if (hashes[i] ^ hashes[j]).bit_count() <= most]
    pairs, whole = near_pairs(values, most)
    assert [tuple(pair) for pair in pairs.tolist()] == expected
    assert whole


def test_a_crowded_band_is_cut_and_told():
    pairs, whole = near_pairs(np.zeros(100, np.uint64), 1, limit=500)
    assert not whole
    assert len(pairs) < 100 * 99 / 2


def test_a_hash_is_of_what_is_brighter_than_its_neighbour():
    rising = np.tile(np.arange(18, dtype=np.float32), (16, 1))[None]
    assert difference_hash(rising).tolist() == [2**64 - 1]
    assert difference_hash(-rising).tolist() == [0]
    assert difference_hash(np.zeros((2, 5, 5), np.float32)).tolist() == [0, 0]


def test_a_hash_hardly_changes_with_size_brightness_and_contrast():
    image = np.asarray(scene(3, 96, 96).convert("L"), np.float32)[None]
    small = np.asarray(scene(3, 96, 96).convert("L").resize((20, 20), Image.Resampling.BOX), np.float32)[None]
    one = int(difference_hash(image)[0])
    assert (one ^ int(difference_hash(small)[0])).bit_count() <= 3
    assert one == int(difference_hash(image * 0.5 + 30)[0])


# Copies


def test_exact_copies_within_and_across_parts(tmp_path):
    images = [scene(seed) for seed in range(20)]
    images[5] = images[2]  # both training
    images[15] = images[3]  # training and test
    view = view_of(tmp_path, images, part=[0] * 10 + [1] * 10, names=("train", "test"), labels=[0] * 20)
    answer = duplicates(view)
    across, within = answer.findings
    assert answer.value == 2
    assert answer.rows.tolist() == [6, 16]
    assert (across.severity, across.part, across.rows, across.count) == (Severity.SERIOUS, "test", (6,), 1)
    assert across.what == "1 picture of 10 in the test part (10 %) equal training pictures, file for file"
    assert (within.part, within.rows) == ("train", (6,))
    assert near_duplicates(view).findings == ()


def test_copies_with_different_labels_are_told(tmp_path):
    images = [scene(seed) for seed in range(10)]
    images[9] = images[0]
    labels = [0] * 9 + [2]
    found = [finding for finding in duplicates(view_of(tmp_path, images, labels)).findings if "labels" in finding.what]
    assert found[0].rows == (1, 10)
    assert "such as 'cat' and 'emu'" in found[0].what


def test_copies_in_another_size_format_or_brightness_are_near_ones(tmp_path):
    images = [scene(seed) for seed in range(40)]
    images[30] = images[1].resize((48, 48), Image.Resampling.BICUBIC)
    images[31] = images[2]
    images[32] = images[3].point(lambda value: int(value * 0.9))
    endings = [".jpg" if row == 31 else ".png" for row in range(40)]
    part = [0] * 25 + [1] * 15
    view = view_of(tmp_path, images, part=part, names=("train", "test"), endings=endings, labels=[0] * 40)
    answer = near_duplicates(view)
    assert (answer.rows - 1).tolist() == [1, 2, 3, 30, 31, 32]
    (found,) = answer.findings
    assert (found.part, found.rows, found.severity) == ("test", (6, 7, 8), Severity.WARNING)
    assert duplicates(view).findings == ()


# Single pictures


def test_pictures_of_one_colour(tmp_path):
    images = [scene(seed) for seed in range(20)]
    for row, colour in ((4, "black"), (9, "white"), (14, "red")):
        images[row] = Image.new("RGB", (24, 24), colour)
    answer = empty_pictures(view_of(tmp_path, images))
    assert answer.rows.tolist() == [5, 10, 15]
    assert answer.findings[0].what == "3 pictures of 20 show nothing: 1 black, 1 white, 1 of one colour"
    assert near_duplicates(view_of(tmp_path, images)).value == 0


def test_odd_sizes(tmp_path):
    images = [scene(seed) for seed in range(20)]
    images[3] = scene(3, 60, 60)
    images[8] = scene(8, 12, 36)
    images[10] = scene(10, 20, 20)
    answer = odd_sizes(view_of(tmp_path, images))
    assert answer.rows.tolist() == [4, 9]
    assert "far from the usual 24 x 24 pixels, such as 60 x 60; 1 was magnified" in answer.findings[0].what


def test_damaged_files_are_named(tmp_path):
    images = [scene(seed) for seed in range(20)]
    images[3], images[6] = b"", b"none"
    answer = damaged(view_of(tmp_path, images))
    (found,) = answer.findings
    assert found.rows == (4, 7)
    assert found.severity is Severity.SERIOUS
    assert "2 pictures of 20 could not be read (1 " in found.what
    assert "3.png': it has no bytes" in found.what
    assert "6.png': its bytes are none of" in found.what


# Shortcuts


def test_a_kind_of_file_that_gives_a_class_away(tmp_path):
    labels = [row % 2 for row in range(60)]
    endings = [".jpg" if label else ".png" for label in labels]
    answer = shortcuts(view_of(tmp_path, [scene(seed) for seed in range(60)], labels, endings=endings))
    kind = next(finding for finding in answer.findings if "kind of file" in finding.what)
    assert kind.severity is Severity.SERIOUS
    assert "with AUROC 1.000" in kind.what
    assert answer.value == 1.0


def test_a_size_that_tells_a_class_has_its_auroc(tmp_path):
    rng, labels = np.random.default_rng(0), np.arange(80) % 2
    sides = 20 + rng.integers(0, 9, 80) + 5 * labels
    view = view_of(tmp_path, [scene(row, side, side) for row, side in enumerate(sides)], labels)
    found = [finding for finding in shortcuts(view).findings if "area" in finding.what]
    expected = roc_auc_score(labels, sides)
    assert f"AUROC {expected:.3f}" in found[0].what
    assert found[0].severity is Severity.WARNING


def test_brightness_is_judged_kindly(tmp_path):
    labels = [row % 2 for row in range(40)]
    images = [scene(row).point(lambda value, one=label: value // 4 + 150 * one) for row, label in enumerate(labels)]
    found = [
        finding for finding in shortcuts(view_of(tmp_path, images, labels)).findings if "brightness" in finding.what
    ]
    assert found[0].severity is Severity.WARNING
    assert "AUROC 1.000" in found[0].what


def test_few_pictures_say_nothing_of_shortcuts(tmp_path):
    assert shortcuts(view_of(tmp_path, [scene(row) for row in range(12)])).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("check", CHECKS)
def test_a_damaged_picture_disturbs_no_check(tmp_path, check):
    images = [scene(row) for row in range(30)]
    images[0] = b"x"
    answer = check(view_of(tmp_path, images))
    assert bool(answer.findings) is (check is damaged)
