import io
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.data.picture_sources.held import hold_arrays, hold_cells
from assay.data.picture_sources.tables import is_pictures, read_picture_tables
from assay.data.pictures.places import HELD, Places, shown_place
from assay.data.pictures.reader import sums_of
from assay.data.reading.arrays import arrays_of
from assay.data.reading.read import Table, read
from assay.data.rows import Rows, fingerprint
from assay.data.stored import store
from assay.errors import DataError

Image = pytest.importorskip("PIL.Image")
Y = np.array([0, 1] * 3)


def pictures(n=6, shape=(5, 5)):
    return np.arange(n * int(np.prod(shape)), dtype=np.uint8).reshape(n, *shape)


def png(value=0) -> bytes:
    made = io.BytesIO()
    Image.fromarray(np.full((2, 2), value, np.uint8)).save(made, "PNG")
    return made.getvalue()


# Arrays


@pytest.mark.parametrize(
    "X",
    [
        pictures(), pictures(shape=(5, 6, 3)), pictures(shape=(4, 5, 6)), pictures().astype(np.uint16) * 257,
        np.asfortranarray(pictures(shape=(5, 6, 3))), (pictures(shape=(3, 5, 6)) / 255.0).astype(np.float32),
    ],
)  # fmt: skip
def test_arrays_in_memory_and_in_a_file_are_one_source(X, tmp_path):
    np.savez(tmp_path / "x.npz", images=X, labels=Y)
    (held, findings), (filed, same) = (
        read_picture_tables(arrays_of(X, Y), tmp_path),
        read_picture_tables(tmp_path / "x.npz"),
    )
    assert findings == same
    one, other = held["data"], filed["data"]
    assert one.source.sha256 == other.source.sha256
    assert (one.source.format, one.source.notes) == (other.source.format, other.source.notes)
    assert one.frame["label"].equals(other.frame["label"])
    with Places() as places:
        assert all(
            np.array_equal(places.get(a), places.get(b))
            for a, b in zip(one.frame["image"], other.frame["image"], strict=True)
        )
    assert sums_of(one.frame["image"]).equals(sums_of(other.frame["image"]))


def test_the_seal_is_of_pictures_and_not_of_where_they_lie(tmp_path):
    def sealed(X, folder):
        folder.mkdir()
        frame = hold_arrays(arrays_of(X, Y), folder).frames["data"].select("image")
        return fingerprint(Rows("test", frame, Y, None, np.arange(6)), ("image",))

    assert sealed(pictures(), tmp_path / "a") == sealed(pictures(), tmp_path / "b")
    assert sealed(pictures(), tmp_path / "c") != sealed(pictures()[::-1], tmp_path / "d")


def test_labels_of_several_kinds_are_as_in_files(tmp_path):
    several = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]])
    assert hold_arrays(arrays_of(pictures(), several), tmp_path).frames["data"]["label"][2] == '["0", "1"]'
    words = hold_arrays(arrays_of(pictures(), list("ababab")), tmp_path).frames["data"]
    assert words["label"].to_list() == list("ababab")
    values = hold_arrays(arrays_of(pictures(), np.linspace(0, 1, 6)), tmp_path)
    assert not values.has_classes


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (np.full((6, 5, 5), np.nan), Y, "X must hold uint8, uint16, or values of 0 to 1, but it holds NaN"),
        (pictures() * 1.0, Y, r"it holds float64 from 0 to 149\..*kinds={'x': 'sequence'}"),
        (pictures().astype(np.int64), Y, "but it holds int64"),
        (pictures() > 3, Y, "but it holds bool"),
        (pictures(shape=(5, 5, 5)), Y, r"with 1, 3 or 4 channels .*but it has \(6, 5, 5, 5\)"),
        (pictures(), np.zeros(6), "y must hold two classes or more, but all 6 pictures are of '0.0'"),
    ],
)
def test_pixels_and_labels_that_teach_nothing_are_told(X, y, match, tmp_path):
    with pytest.raises(DataError, match=match):
        read_picture_tables(arrays_of(X, y), tmp_path)


def test_only_pictures_are_a_source_of_pictures():
    assert is_pictures(arrays_of(pictures(), Y))
    assert not is_pictures(arrays_of(np.ones((6, 2)), Y))
    assert not is_pictures(arrays_of(np.ones((6, 2, 9)), Y, is_series=True))


# Cells


CELLS = [png(0), None, b"", b"no picture", png(1)]


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("name", ["image", "a/b\\..\0é::", "x" * 300, "😀" * 60])
def test_bytes_become_places_that_hold_them(in_files, name, tmp_path):
    columns = [pl.Series(name, CELLS), pl.Series("y", range(5))]
    frame = store(columns, tmp_path) if in_files else pl.DataFrame(columns)
    made = hold_cells(Table(frame, read(pl.DataFrame({"y": [1]})).source), tmp_path).frame
    places = made[name].to_list()
    assert places[1] is None
    assert made["y"].to_list() == list(range(5))
    with Places() as source:
        assert [source.get(place) for place in places if place] == [cell for cell in CELLS if cell is not None]
    assert all(Path(place.partition("::")[0]).is_absolute() for place in places if place)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.none() | st.binary(max_size=40), min_size=1, max_size=20), st.text(min_size=1, max_size=60))
def test_any_bytes_under_any_name_are_found_again(cells, name):
    with tempfile.TemporaryDirectory() as folder:
        frame = pl.DataFrame([pl.Series(name, cells, dtype=pl.Binary)])
        made = hold_cells(Table(frame, read(pl.DataFrame({"y": [1]})).source), Path(folder)).frame[name].to_list()
        with Places() as source:
            assert [None if place is None else source.get(place) for place in made] == cells


def test_a_table_without_bytes_is_left_alone(tmp_path):
    table = read(pl.DataFrame({"y": [1, 2]}))
    assert hold_cells(table, tmp_path) is table
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_shown_as_its_owner_knows_it():
    assert shown_place(f"/tmp/{HELD}abc.zip::image::11") == "image, row 12"
    assert shown_place(f"/tmp/{HELD}abc.npy::0") == "picture, row 1"
    for plain in ("/photos/cat.png", "a.zip::cat/1.png", "x.npz::images::7", f"{HELD}x.zip::cat.png"):
        assert shown_place(plain) == plain
