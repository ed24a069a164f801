import gzip
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from assay.data.findings import Severity
from assay.data.picture_sources.files import read_pictures
from assay.data.pictures.picture import Damaged, Fault, Picture, PictureFormat, decode
from assay.data.pictures.places import Places, seen_from
from assay.errors import DataError

FORM = PictureFormat(height=4, width=4, channels=1)


def make(root, files):
    """Files by name below `root`; what they hold does not matter to a listing."""
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def zipped(path, files, folders=()):
    with zipfile.ZipFile(path, "w") as archive:
        for name in files:
            archive.writestr(name, name.encode())
        for name in folders:
            archive.writestr(f"{name}/", b"")
    return path


CLASSES = ["dog/b.JPG", "dog/a.png", "cat/1.webp", "cat/2.gif"]


# Folders


def test_a_folder_for_each_class(tmp_path):
    root = make(tmp_path / "pets", CLASSES)
    found = read_pictures(root)
    assert list(found.parts) == ["data"]
    frame = found.parts["data"]
    assert frame["label"].to_list() == ["cat", "cat", "dog", "dog"]
    assert frame["image"].to_list() == [
        str(root / name) for name in ("cat/1.webp", "cat/2.gif", "dog/a.png", "dog/b.JPG")
    ]
    assert (found.notes, found.findings) == ((), ())


def test_parts_by_their_usual_names(tmp_path):
    for valid in ("valid", "val", "Validation"):
        root = make(tmp_path / valid, [f"{part}/{name}" for part in ("test", valid, "Train") for name in CLASSES])
        found = read_pictures(str(root))
        assert list(found.parts) == ["train", "valid", "test"]
        assert {frame.height for frame in found.parts.values()} == {4}
        assert found.parts["valid"]["image"][0] == str(root / valid / "cat/1.webp")


def test_a_class_of_trains_is_no_part(tmp_path):
    found = read_pictures(make(tmp_path, ["train/1.png", "train/2.png", "car/1.png", "car/2.png"]))
    assert found.parts["data"]["label"].unique().sort().to_list() == ["car", "train"]


def test_one_folder_around_all_others_is_looked_through(tmp_path):
    found = read_pictures(make(tmp_path, [f"archive/pets/train/{name}" for name in CLASSES]))
    assert found.parts["train"]["label"].to_list() == ["cat", "cat", "dog", "dog"]


def test_deeper_pictures_belong_to_the_class_on_top(tmp_path):
    found = read_pictures(make(tmp_path, [*CLASSES, "cat/kittens/3.png"]))
    assert found.parts["data"]["label"].to_list().count("cat") == 3


def test_what_is_left_out_is_counted_by_ending(tmp_path):
    others = ["read.me", "cat/notes.txt", "dog/x.txt", "cat/.DS_Store", ".git/x.png", "dog/Thumbs.db", "LICENSE"]
    found = read_pictures(make(tmp_path, [*CLASSES, *others]))
    assert found.parts["data"].height == 4
    assert found.notes == ("4 files of other endings left out: '.txt' 2, 'none' 1, '.me' 1", "3 hidden files left out")


def test_classes_without_pictures_and_of_one_are_found(tmp_path):
    make(tmp_path, [*CLASSES, "emu/1.png"])
    (tmp_path / "fox").mkdir()
    (tmp_path / ".cache").mkdir()
    empty, single = read_pictures(tmp_path).findings
    assert empty.what == "1 folder of classes without a picture: 'fox'"
    assert single.what == "1 class of one picture: 'emu'"
    assert {empty.severity, single.severity} == {Severity.WARNING}


def test_classes_that_only_a_later_part_has_are_serious(tmp_path):
    files = [f"{part}/{name}" for part in ("train", "test") for name in CLASSES]
    (found,) = read_pictures(make(tmp_path, [*files, "test/Dog/1.png", "test/Dog/2.png"])).findings
    assert found.severity is Severity.SERIOUS
    assert (found.part, found.count) == ("test", 2)
    assert "'Dog'" in found.what


@pytest.mark.parametrize(
    ("files", "came"),
    [
        (["1.png", "2.png"], "2 pictures of 2 lie beside no class, such as '1.png'"),
        (["1.png", *CLASSES], "1 picture of 5 lie beside the folders of classes"),
        (["cat/1.png", "cat/2.png"], "all 2 pictures are of 'cat'"),
        (["cat/1.txt"], "it holds 1 file: '.txt' 1"),
        ([], "it holds 0 files"),
        ([f"{part}/{name}" for part in ("train", "extra") for name in CLASSES], "there is also 'extra'"),
        ([*(f"train/{name}" for name in CLASSES), "test/1.png"], "some lie in 'test' itself"),
        ([f"{part}/{name}" for part in ("train", "val", "dev") for name in CLASSES], "there are dev, train, val"),
    ],
)
def test_other_layouts_are_told_with_what_is_expected(tmp_path, files, came):
    with pytest.raises(DataError) as error:
        read_pictures(make(tmp_path, files))
    assert came in str(error.value)
    if "dev" not in came:
        assert "a folder of pictures for each class" in error.value.do


def test_there_must_be_something_of_a_known_kind(tmp_path):
    with pytest.raises(DataError, match="must exist, but there is no such file"):
        read_pictures(tmp_path / "none")
    (tmp_path / "x.rar").write_bytes(b"x")
    with pytest.raises(DataError, match=r"but this is 'x\.rar'"):
        read_pictures(tmp_path / "x.rar")


def test_names_that_are_not_utf_8_are_told(tmp_path):
    make(tmp_path, CLASSES)
    with open(os.fsencode(tmp_path / "cat") + b"/\xff.png", "wb"):  # noqa: PTH123  # a name that Path would decode
        pass
    with pytest.raises(DataError, match="names of files must be UTF-8"):
        read_pictures(tmp_path)


# Archives


def test_a_zip_is_read_as_a_folder_is_and_not_unpacked(tmp_path):
    path = zipped(tmp_path / "pets.zip", [*CLASSES, "__MACOSX/cat/1.png", "a.txt"], ["fox"])
    found = read_pictures(path)
    frame = found.parts["data"]
    assert frame["label"].to_list() == ["cat", "cat", "dog", "dog"]
    assert found.notes == ("1 file of other endings left out: '.txt' 1", "1 hidden file left out")
    assert [finding.what for finding in found.findings] == ["1 folder of classes without a picture: 'fox'"]
    with Places() as places:
        assert places.get(frame["image"][2]) == b"dog/a.png"
    assert [entry.name for entry in tmp_path.iterdir()] == ["pets.zip"]


@pytest.mark.parametrize("name", ["../cat/1.png", "/cat/1.png", "cat/../../1.png", "cat\\..\\1.png"])
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="would lead out of it"):
        read_pictures(zipped(tmp_path / "x.zip", [*CLASSES, name]))


def test_a_damaged_archive_is_told(tmp_path):
    path = zipped(tmp_path / "x.zip", CLASSES)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="must be a whole"):
        read_pictures(path)


def test_an_encrypted_archive_is_told(tmp_path):
    path = zipped(tmp_path / "x.zip", CLASSES)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        read_pictures(path)


def test_a_damaged_member_is_a_reason(tmp_path):
    path = zipped(tmp_path / "x.zip", CLASSES)
    data = bytearray(path.read_bytes())
    data[data.index(b"dog/b.JPGdog") + 10] ^= 255
    path.write_bytes(data)
    with Places() as places:
        found = places.get(f"{path}::dog/b.JPG")
        assert isinstance(found, Damaged)
        assert found.fault is Fault.DAMAGED
        assert "within the archive" in found.reason
        assert places.get(f"{path}::none.png").fault is Fault.MISSING
        assert places.get(f"{tmp_path}/none.zip::x").fault is Fault.MISSING


def test_a_member_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("assay.data.pictures.places.MOST_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", bytes(100_000))
    with Places() as places:
        found = places.get(f"{tmp_path}/x.zip::a/1.png")
    assert found == Damaged(Fault.TOO_LARGE, "it unpacks to 100,000 bytes, more than 1,000")


# Arrays


def images(n=6, shape=(4, 4)):
    return np.arange(n * int(np.prod(shape)), dtype=np.uint8).reshape(n, *shape)


def picture_at(place):
    with Places() as places:
        found = decode(places.get(place), FORM)
    assert isinstance(found, Picture), found
    return found.pixels[:, :, 0]


def test_an_array_with_labels_beside_it(tmp_path):
    np.save(tmp_path / "images.npy", images())
    np.save(tmp_path / "labels.npy", np.array([0, 1, 1, 0, 1, 0]))
    frame = read_pictures(tmp_path / "images.npy").parts["data"]
    assert frame["label"].to_list() == ["0", "1", "1", "0", "1", "0"]
    assert np.array_equal(picture_at(frame["image"][3]), images()[3])
    np.save(tmp_path / "alone.npy", images())
    assert read_pictures(tmp_path / "alone.npy").parts["data"].columns == ["image"]


@pytest.mark.parametrize("name", ["x_{}", "{}_images"])
def test_arrays_of_parts(tmp_path, name):
    labels = np.array(["a", "b", "a", "b", "a", "b"])
    arrays = {name.format(part): images() for part in ("train", "test")}
    arrays |= {name.replace("x_", "y_").replace("images", "labels").format(part): labels for part in ("train", "test")}
    np.savez_compressed(tmp_path / "x.npz", **arrays, extra=np.zeros(3))
    found = read_pictures(tmp_path / "x.npz")
    assert list(found.parts) == ["train", "test"]
    assert found.parts["test"]["label"].to_list() == labels.tolist()
    assert np.array_equal(picture_at(found.parts["test"]["image"][5]), images()[5])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": images().astype(np.float32)}, "uint8, uint16, or values of 0 to 1, but it holds float32 from 0 to"),
        ({"images": np.full((6, 4, 4), np.nan)}, "but it holds NaN, which is no colour"),
        ({"images": images().astype(np.int64)}, "but it holds int64"),
        ({"images": images(6, (5, 5, 5))}, r"behind the pictures, but it has \(6, 5, 5, 5\)"),
        ({"images": images(), "labels": np.zeros(5)}, "6 pictures and labels of shape"),
        ({"images": images(), "labels": np.full((6, 2), 3)}, r"labels\) of 0 and 1 where a picture has several"),
        ({"images": images(), "labels": np.zeros(6)}, "two classes or more"),
        ({"a": images()}, "but it holds 'a'"),
        ({"images": np.array([None])}, "cannot be read"),
    ],
)
def test_other_arrays_are_told(tmp_path, arrays, message):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_pictures(tmp_path / "x.npz")


def test_values_of_0_to_1_and_channels_that_come_first_are_brought_to_pixels(tmp_path):
    pixels = images(6, (5, 5, 3))
    np.savez(tmp_path / "x.npz", images=np.moveaxis(pixels, 3, 1) / np.float32(255.0), labels=[0, 1] * 3)
    found = read_pictures(tmp_path / "x.npz")
    assert found.notes == ("channels that come first were moved to the end", "values of 0 to 1 were scaled to 8 bits")
    with Places() as places:
        assert np.array_equal(places.get(found.parts["data"]["image"][2]), pixels[2])


def test_tensors_of_torch_come_as_safetensors(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    pixels, labels = images(6, (3, 5, 5)), np.array([0, 1] * 3)
    numpy.save_file({"train_images": pixels, "train_labels": labels, "spare": labels}, tmp_path / "x.safetensors")
    found = read_pictures(tmp_path / "x.safetensors")
    assert (list(found.parts), found.kind) == (["train"], "safetensors")
    assert found.parts["train"]["label"].to_list() == ["0", "1"] * 3
    with Places() as places:
        assert np.array_equal(places.get(found.parts["train"]["image"][5]), np.moveaxis(pixels[5], 0, -1))
    (tmp_path / "y.safetensors").write_bytes(b"\x80\x02 a pickle")
    with pytest.raises(DataError, match=r"must be a whole .safetensors file"):
        read_pictures(tmp_path / "y.safetensors")


def test_labels_may_be_values_or_several(tmp_path):
    values = np.linspace(-1.0, 1.0, 6)
    np.savez(tmp_path / "x.npz", train_x=images(), train_y=values, test_x=images(), test_y=values + 0.01)
    found = read_pictures(tmp_path / "x.npz")
    assert found.parts["train"]["label"].cast(float).to_list() == values.tolist()
    assert found.findings == ()  # values that the training part has not are no unknown classes
    np.savez(tmp_path / "y.npz", x=images(), y=np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1]]))
    found = read_pictures(tmp_path / "y.npz")
    assert found.parts["data"]["label"].to_list()[:4] == ['["0"]', '["1"]', '["0", "1"]', "[]"]
    assert found.findings == ()


@pytest.mark.parametrize(("name", "other"), [("x.npz", "npy"), ("x.npy", "npz")])
def test_an_array_file_called_otherwise_is_told(tmp_path, name, other):
    with (tmp_path / name).open("wb") as file:
        np.save(file, images()) if other == "npy" else np.savez(file, images=images())
    with pytest.raises(DataError, match=f"its bytes are those of a .{other} file"):
        read_pictures(tmp_path / name)


def test_an_array_file_of_objects_or_nothing_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "y.npy").write_bytes(b"")
    for name in ("x.npy", "y.npy"):
        with pytest.raises(DataError, match="which are never opened"):
            read_pictures(tmp_path / name)


# idx files


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_files_of_a_folder(tmp_path):
    labels = np.array([3, 7, 3, 7, 3, 7], np.uint8)
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(images()))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    found = read_pictures(tmp_path)
    assert list(found.parts) == ["train", "test"]
    assert found.kind == "idx files"
    assert found.parts["train"]["label"].to_list() == [str(label) for label in labels]
    assert np.array_equal(picture_at(found.parts["test"]["image"][2]), images()[2])


def test_an_idx_file_within_gz(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(images())))
    frame = read_pictures(path).parts["data"]
    assert frame.columns == ["image"]
    assert np.array_equal(picture_at(frame["image"][5]), images()[5])


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\x08",
        b"\1\0\x08\3" + bytes(12),
        idx(images())[:-1],
        idx(images()) + b"x",
        struct.pack(">HBB3I", 0, 8, 3, 1 << 31, 1 << 10, 1 << 10) + b"xx",
    ],
)
def test_a_damaged_idx_file_is_told(tmp_path, data, packed):
    path = tmp_path / ("train-images-idx3-ubyte" + ".gz" * packed)
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match="must be a whole idx file"):
        read_pictures(path)


# Places


def test_relative_places_are_seen_from_a_folder():
    places = pl.Series("image", ["a/1.png", "/b/2.png", None, "x.zip::a/1.png"])
    found = seen_from(Path("/data"), places)
    assert found.to_list() == ["/data/a/1.png", "/b/2.png", None, "/data/x.zip::a/1.png"]
    assert found.name == "image"


def test_a_plain_path_is_given_back_and_stamped_by_its_file(tmp_path):
    (tmp_path / "a.png").write_bytes(b"abc")
    (tmp_path / "a::b.png").write_bytes(b"abcd")
    with Places() as places:
        assert places.get(str(tmp_path / "a.png")) == tmp_path / "a.png"
        assert places.get(str(tmp_path / "a::b.png")) == tmp_path / "a::b.png"
        assert places.stamp(str(tmp_path / "a.png")).startswith("3 ")
        assert places.stamp(str(tmp_path / "a::b.png")).startswith("4 ")
        assert places.stamp(str(tmp_path / "none.png")) == "missing"
