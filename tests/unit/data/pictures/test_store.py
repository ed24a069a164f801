import hashlib
import os
import threading

import numpy as np
import polars as pl
import pytest
from PIL import Image

from assay.data.pictures.picture import Fault, PictureFormat, decode
from assay.data.pictures.places import Places
from assay.data.pictures.store import open_store, store_pictures
from assay.errors import BundleError, DataError

FORM = PictureFormat(height=6, width=5)


@pytest.fixture
def places(tmp_path):
    """The places of 300 pictures, of which four cannot be read."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng, names = np.random.default_rng(0), []
    for row in range(300):
        path = folder / f"{row}.png"
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(path)
        names.append(str(path))
    (folder / "3.png").write_bytes(b"")
    (folder / "150.png").write_bytes((folder / "151.png").read_bytes()[:60])
    (folder / "299.png").unlink()
    names[7] = None
    return pl.Series("image", names, dtype=pl.String)


def test_pictures_are_stored_in_order_with_their_facts(places, tmp_path):
    seen = []
    store = store_pictures(places, FORM, tmp_path / "kept", threads=3, progress=lambda *at: seen.append(at))
    assert store.shape == (300, 3, 6, 5)
    assert not store.reused
    pixels = store.pixels()
    for row in (0, 127, 128, 298):
        assert np.array_equal(pixels[row].transpose(1, 2, 0), decode(tmp_path / f"pictures/{row}.png", FORM).pixels)
    assert np.array_equal(store.at(np.array([298, 0])), pixels[[298, 0]])
    assert np.array_equal(np.concatenate([block for _, block in store.blocks(1000)]), pixels)
    facts = store.facts
    assert facts.height == 300
    data = (tmp_path / "pictures/5.png").read_bytes()
    row = facts.row(5, named=True)
    assert (row["sha256"], row["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (row["kind"], row["height"], row["width"], row["channels"]) == ("PNG", 9, 7, 3)
    assert seen[-1] == (300, 300)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_damaged_pictures_are_named_and_black(places, tmp_path):
    store = store_pictures(places, FORM, tmp_path / "kept")
    assert [(one.row, one.fault) for one in store.index.damaged] == [
        (3, Fault.EMPTY),
        (7, Fault.MISSING),
        (150, Fault.DAMAGED),
        (299, Fault.MISSING),
    ]
    assert store.index.damaged[0].place.endswith("3.png")
    assert store.index.damaged[1].reason == "the cell is empty"
    assert np.flatnonzero(~store.sound).tolist() == [3, 7, 150, 299]
    assert not store.pixels()[[3, 7, 150, 299]].any()
    assert store.index.damaged_count == 4


def test_the_same_files_are_not_decoded_again(places, tmp_path):
    first = store_pictures(places, FORM, tmp_path / "kept")
    again = store_pictures(places, FORM, tmp_path / "kept", progress=lambda *_: pytest.fail("decoded again"))
    assert again.reused
    assert again.folder == first.folder
    assert again.index == first.index


def test_other_files_another_order_or_format_are_decoded(places, tmp_path):
    first = store_pictures(places, FORM, tmp_path / "kept")
    os.utime(tmp_path / "pictures/0.png", (1, 1))
    others = [
        store_pictures(places, FORM, tmp_path / "kept"),
        store_pictures(places.reverse(), FORM, tmp_path / "kept"),
        store_pictures(places, FORM.model_copy(update={"ground": "black"}), tmp_path / "kept"),
    ]
    assert not any(store.reused for store in others)
    assert len({store.folder for store in [first, *others]}) == 4
    assert len(list((tmp_path / "kept").iterdir())) == 4


def test_a_damaged_store_is_made_anew(places, tmp_path):
    store = store_pictures(places, FORM, tmp_path / "kept")
    with (store.folder / "pixels.u8").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="Remove the folder"):
        open_store(store.folder)
    anew = store_pictures(places, FORM, tmp_path / "kept")
    assert not anew.reused
    assert open_store(anew.folder).index == store.index


def test_not_one_readable_picture_is_an_error_and_leaves_nothing(tmp_path):
    places = pl.Series("image", [str(tmp_path / "none.png")] * 2)
    with pytest.raises(DataError, match="none of 2 is; of the first, it cannot be read"):
        store_pictures(places, FORM, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_what_stops_the_work_leaves_nothing(places, tmp_path):
    def stop(done, _):
        if done > 128:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_pictures(places, FORM, tmp_path / "kept", progress=stop)
    assert list((tmp_path / "kept").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]


def test_any_number_of_threads_gives_the_same_bytes(places, tmp_path):
    stores = [store_pictures(places, FORM, tmp_path / str(threads), threads=threads) for threads in (1, 4)]
    assert np.array_equal(stores[0].pixels(), stores[1].pixels())
    assert stores[0].facts.equals(stores[1].facts)
    assert stores[0].index == stores[1].index


def test_what_was_done_to_pictures_is_counted(tmp_path):
    for row in range(3):
        Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / f"{row}.png")
    store = store_pictures(pl.Series([str(tmp_path / f"{row}.png") for row in range(3)]), FORM, tmp_path / "kept")
    assert store.index.notes == {"16-bit values were scaled to 8 bits": 3}
    assert np.unique(store.pixels()).tolist() == [40_000 >> 8]


def test_few_pieces_are_in_memory_at_a_time(places, tmp_path, monkeypatch):
    monkeypatch.setattr("assay.data.pictures.store._PIECE", 10)
    open_places, fetch = [], Places.get
    monkeypatch.setattr(Places, "get", lambda self, place: open_places.append(place) or fetch(self, place))
    most = [0]

    def watch(done, _):
        most[0] = max(most[0], len(open_places) - done)

    store_pictures(places.drop_nulls(), FORM, tmp_path / "kept", threads=2, progress=watch)
    assert most[0] <= 10 * (2 * 2 + 1)
