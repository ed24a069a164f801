import hashlib
import json
import os

import pytest

from assay.bundle.manifest import FILES, FORMAT, MANIFEST, MODEL, PAGE, SCHEMA, check_files, read_manifest, sum_file
from assay.errors import BundleError


def edited(directory, **changes):
    text = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    (directory / MANIFEST).write_text(json.dumps(text | changes), encoding="utf-8")


def checked(directory):
    check_files(directory, read_manifest(directory))


def test_a_manifest_lists_every_file_with_its_sum(binary):
    manifest = read_manifest(binary.directory)
    assert manifest.format == FORMAT
    assert set(manifest.files) == set(FILES) == {path.name for path in binary.directory.iterdir()} - {MANIFEST}
    for name, found in manifest.files.items():
        content = (binary.directory / name).read_bytes()
        assert (found.bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest.provenance["data_sha256"] == "0" * 64
    assert manifest.provenance["seed"] == "0"
    assert {"torch", "onnxruntime", "python", "platform"} <= manifest.provenance.keys()
    checked(binary.directory)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_in_any_file_is_found(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=rf"{name} must be the file that was saved"):
        checked(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"must hold {name}, but it is missing"):
        checked(copy)


def test_a_file_made_longer_is_found(copy):
    with (copy / PAGE).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(BundleError, match="must be the file that was saved"):
        checked(copy)


def test_a_link_is_no_file_of_the_bundle(copy, tmp_path):
    (copy / MODEL).rename(tmp_path / "elsewhere")
    (copy / MODEL).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=f"must hold {MODEL}"):
        checked(copy)


def test_a_directory_is_no_file(copy):
    (copy / PAGE).unlink()
    (copy / PAGE).mkdir()
    with pytest.raises(BundleError, match=f"must hold {PAGE}"):
        checked(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".", "", "a/../b", "./a"])
def test_a_name_outside_the_bundle_is_refused(copy, name):
    edited(copy, files={name: {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(BundleError, match="the files of a bundle lie in its directory"):
        read_manifest(copy)


def test_a_name_that_no_file_can_have_is_missing(copy):
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    edited(copy, files=manifest["files"] | {"a\0b": {"bytes": 1, "sha256": "0" * 64}})
    with pytest.raises(BundleError, match="it is missing"):
        checked(copy)


@pytest.mark.parametrize("name", [MODEL, SCHEMA])
def test_the_parts_that_answering_needs_must_be_listed(copy, name):
    manifest = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
    del manifest["files"][name]
    edited(copy, **manifest)
    with pytest.raises(BundleError, match=f"a bundle lists {name}"):
        checked(copy)


@pytest.mark.parametrize("number", [0, 2, 999])
def test_another_format_is_refused_before_its_fields_are_read(copy, number):
    (copy / MANIFEST).write_text(json.dumps({"format": number, "new": "field"}), encoding="utf-8")
    with pytest.raises(BundleError, match=f"reads bundles of format 1, but this one has format {number}"):
        read_manifest(copy)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'"x"', b"\xff\xfe\x00", b'{"format": "one"}', b'{"format": 1}'])
def test_a_damaged_manifest_is_refused(copy, text):
    (copy / MANIFEST).write_bytes(text)
    with pytest.raises(BundleError, match=r"must hold a valid .* record"):
        read_manifest(copy)


def test_an_unknown_field_is_refused(copy):
    edited(copy, surprise=1)
    with pytest.raises(BundleError, match="at surprise"):
        read_manifest(copy)


def test_a_place_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="has none"):
        read_manifest(tmp_path)
    with pytest.raises(BundleError, match="is not a directory"):
        read_manifest(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(copy):
    (copy / PAGE).chmod(0)
    with pytest.raises(BundleError, match="must be readable"):
        checked(copy)


def test_a_file_that_cannot_be_summed_is_named(tmp_path):
    with pytest.raises(BundleError, match="every file of a bundle must be readable, but Is a directory"):
        sum_file(tmp_path)
