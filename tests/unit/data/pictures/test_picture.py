import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from assay.data.pictures.picture import (
    MOST_PIXELS,
    Damaged,
    Facts,
    Fault,
    Picture,
    PictureFormat,
    decode,
    look,
    suggest,
)

SMALL = PictureFormat(height=8, width=8)
GREY = PictureFormat(height=8, width=8, channels=1)


def noise(height=8, width=8, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height=64, width=48):
    """A picture that survives lossy formats."""
    down, aside = np.meshgrid(np.linspace(0, 255, height), np.linspace(0, 255, width), indexing="ij")
    return np.stack([down, aside, (down + aside) / 2], axis=2).astype(np.uint8)


def encoded(image, kind, **options):
    out = io.BytesIO()
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(source, form=SMALL):
    found = decode(source, form)
    assert isinstance(found, Picture), found
    assert found.pixels.dtype == np.uint8
    assert found.pixels.shape == (form.height, form.width, form.channels)
    return found.pixels


def fault(source, form=SMALL):
    found = decode(source, form)
    assert isinstance(found, Damaged)
    return found


# Formats


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_exact_formats_give_the_pixels_as_they_are(kind):
    image = noise()
    assert np.array_equal(pixels(encoded(image, kind)), image)
    assert decode(encoded(image, kind), SMALL).facts == Facts(kind, 8, 8, 3)


def test_webp_without_loss_gives_the_pixels_as_they_are():
    assert np.array_equal(pixels(encoded(noise(), "WEBP", lossless=True)), noise())


def test_jpeg_comes_close():
    form = PictureFormat(height=64, width=48)
    found = pixels(encoded(smooth(), "JPEG", quality=95), form)
    assert np.abs(found.astype(int) - smooth()).mean() < 3


def test_a_path_and_its_bytes_give_the_same(tmp_path):
    (tmp_path / "x.png").write_bytes(encoded(noise(), "PNG"))
    assert np.array_equal(pixels(tmp_path / "x.png"), noise())


def test_grey_becomes_colour_and_colour_grey():
    grey = noise(channels=1)
    assert np.array_equal(pixels(encoded(grey, "PNG")), np.repeat(grey[:, :, None], 3, axis=2))
    found = pixels(encoded(np.full((8, 8, 3), (200, 100, 50), np.uint8), "PNG"), GREY)
    assert int(found[0, 0, 0]) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_a_palette_gives_its_colours():
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) % 2, "P")
    image.putpalette([10, 20, 30, 200, 210, 220])
    found = pixels(encoded(image, "PNG"))
    assert found[0, 0].tolist() == [10, 20, 30]
    assert found[0, 1].tolist() == [200, 210, 220]


def test_black_and_white_of_one_bit():
    image = Image.fromarray(np.eye(8, dtype=bool))
    assert np.array_equal(pixels(encoded(image, "PNG"), GREY)[:, :, 0], np.eye(8, dtype=np.uint8) * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_scaled_and_not_clipped(kind):
    values = np.array([0, 256, 32768, 65535], np.uint16).repeat(16).reshape(8, 8)
    found = decode(encoded(Image.fromarray(values), kind), GREY)
    assert np.unique(found.pixels).tolist() == [0, 1, 128, 255]
    assert found.facts.notes == ("16-bit values were scaled to 8 bits",)


def png_of_16_bits(values):
    """A colour PNG of 16 bits, which Pillow cannot write."""
    height, width, _ = values.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(lines))]
    out = b"\x89PNG\r\n\x1a\n"
    for name, data in [*chunks, (b"IEND", b"")]:
        out += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return out


def test_colours_of_16_bits_are_scaled_as_greys_are():
    values = np.array([0, 256, 32768, 65535], np.uint16).repeat(48).reshape(8, 8, 3)
    assert np.array_equal(pixels(png_of_16_bits(values)), (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_values_without_a_range_are_refused(mode):
    found = fault(encoded(Image.new(mode, (8, 8)), "TIFF"))
    assert found.fault is Fault.UNSUPPORTED
    assert "convert it to 8 or 16 bits" in found.reason


@pytest.mark.parametrize(("ground", "value"), [("white", 255), ("black", 0)])
def test_the_ground_shows_where_a_picture_is_transparent(ground, value):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, :4] = (100, 100, 100, 255)
    image[:, 4:6] = (100, 100, 100, 128)
    found = pixels(encoded(image, "PNG"), PictureFormat(height=8, width=8, ground=ground))
    assert found[0, 0].tolist() == [100] * 3
    assert int(found[0, 5, 0]) == pytest.approx((100 + value) / 2, abs=1)
    assert found[0, 7].tolist() == [value] * 3


def test_a_transparent_palette_colour_shows_the_ground():
    image = Image.fromarray(np.zeros((8, 8), np.uint8), "P")
    image.putpalette([10, 20, 30])
    assert pixels(encoded(image, "PNG", transparency=0))[0, 0].tolist() == [255] * 3


def test_grey_with_alpha_stays_grey():
    image = Image.merge("LA", [Image.new("L", (8, 8), 90), Image.new("L", (8, 8), 255)])
    assert np.unique(pixels(encoded(image, "PNG"), GREY)).tolist() == [90]


def test_cmyk_becomes_colour():
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    found = pixels(encoded(image, "TIFF"))
    assert found[0, 0].tolist() == [0, 255, 255]
    assert pixels(encoded(image, "JPEG", quality=100))[0, 0] == pytest.approx([0, 255, 255], abs=4)


def test_the_first_frame_is_taken_and_told():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    found = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), SMALL)
    assert found.pixels[0, 0].tolist() == [255, 0, 0]
    assert found.facts.notes == ("the first of several frames was taken",)
    assert decode(encoded(frames[0], "GIF"), SMALL).facts.notes == ()


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
        (99, lambda a: a),
    ],
)
def test_a_picture_is_turned_as_its_exif_data_says(orientation, seen):
    image, exif = noise(6, 10), Image.Exif()
    exif[274] = orientation
    data = encoded(image, "PNG", exif=exif)
    expected = seen(image)
    form = PictureFormat(height=expected.shape[0], width=expected.shape[1])
    assert np.array_equal(pixels(data, form), expected)
    assert (look(data).height, look(data).width) == expected.shape[:2]
    assert decode(data, form).facts == look(data)


def test_damaged_exif_data_leaves_the_pixels():
    data = encoded(smooth(), "JPEG")
    broken = data[:2] + b"\xff\xe1" + struct.pack(">H", 14) + b"Exif\0\0" + b"brokenxx"[:6] + data[2:]
    assert pixels(broken).shape == (8, 8, 3)


# Sizes


def test_squashing_takes_all_of_a_picture_and_cropping_its_middle():
    image = np.zeros((8, 24, 3), np.uint8)
    image[:, 8:16] = 255
    squashed = pixels(encoded(image, "PNG"))
    assert 0 < squashed.mean() < 255
    assert squashed[:, 0].max() < 50
    cropped = pixels(encoded(image, "PNG"), PictureFormat(height=8, width=8, resize="crop"))
    assert np.array_equal(cropped, np.full((8, 8, 3), 255))
    tall = pixels(encoded(image.transpose(1, 0, 2), "PNG"), PictureFormat(height=8, width=8, resize="crop"))
    assert np.array_equal(tall, np.full((8, 8, 3), 255))


def test_no_pixel_is_left_out_when_a_picture_shrinks():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert pixels(encoded(board, "PNG"), GREY) == pytest.approx(127.5, abs=2)


def test_a_large_jpeg_shrunk_while_decoded_comes_close():
    image = Image.fromarray(smooth(1024, 768))
    form = PictureFormat(height=32, width=24)
    ours = pixels(encoded(image, "JPEG", quality=95), form).astype(int)
    assert np.abs(ours - np.asarray(image.resize((24, 32), Image.Resampling.BILINEAR))).mean() < 2
    found = decode(encoded(image, "JPEG"), form)
    assert (found.facts.height, found.facts.width) == (1024, 768)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    wanted=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    resize=st.sampled_from(["squash", "crop"]),
)
@settings(max_examples=60)
def test_every_shape_fits(height, width, wanted, resize):
    form = PictureFormat(height=wanted[0], width=wanted[1], resize=resize)
    image = np.full((height, width, 3), 77, np.uint8)
    assert np.array_equal(pixels(image, form), np.full((*wanted, 3), 77))


# Arrays


def test_arrays_are_read_as_files_are():
    for image in (noise(20, 30), noise(20, 30, channels=1), noise(20, 30, channels=4)):
        for form in (SMALL, GREY):
            assert np.array_equal(pixels(image, form), pixels(encoded(image, "PNG"), form))
    assert pixels(noise(8, 8, channels=1)[:, :, None], GREY).shape == (8, 8, 1)
    assert np.unique(pixels(np.full((8, 8), 65535, np.uint16), GREY)).tolist() == [255]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((8, 8), np.float32), Fault.UNSUPPORTED),
        (np.zeros((8, 8, 2), np.uint8), Fault.UNSUPPORTED),
        (np.zeros(8, np.uint8), Fault.UNSUPPORTED),
        (np.zeros((0, 8), np.uint8), Fault.EMPTY),
    ],
)
def test_other_arrays_are_told(array, expected):
    assert fault(array).fault is expected


# Hostile bytes


def test_an_empty_file_a_missing_one_and_a_folder(tmp_path):
    (tmp_path / "empty.png").touch()
    assert fault(tmp_path / "empty.png") == Damaged(Fault.EMPTY, "it has no bytes")
    assert fault(b"").fault is Fault.EMPTY
    assert fault(tmp_path / "none.png").reason == "it cannot be read (No such file or directory)"
    assert fault(tmp_path).fault is Fault.NOT_A_PICTURE
    assert look(tmp_path / "none.png").fault is Fault.MISSING


@pytest.mark.parametrize(
    "data", [b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", bytes(1000)]
)
def test_what_is_no_picture_is_told(data):
    found = fault(data)
    assert found.fault is Fault.NOT_A_PICTURE
    assert found.reason == "its bytes are none of PNG, JPEG, WEBP, BMP, TIFF, GIF"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.8])
def test_a_file_that_is_cut_off_is_damaged(kind, share):
    data = encoded(noise(64, 64), kind)
    found = fault(data[: max(12, int(len(data) * share))])
    assert found.fault is Fault.DAMAGED
    assert found.reason


@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=20),
)
@settings(max_examples=150)
@pytest.mark.filterwarnings("default")
def test_changed_bytes_give_a_picture_or_a_reason(kind, changes):
    data = bytearray(encoded(smooth(24, 24), kind))
    for place, value in changes:
        data[place % len(data)] = value
    assert isinstance(decode(bytes(data), SMALL), Picture | Damaged)
    assert isinstance(look(bytes(data)), Facts | Damaged)


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_decoding():
    side = 20_000
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    data += struct.pack(">I", zlib.crc32(b"IHDR" + header)) + struct.pack(">I", 0) + b"IDAT" + bytes(4)
    found = fault(data)
    assert found.fault is Fault.TOO_LARGE
    assert f"more than {MOST_PIXELS:,} pixels" in found.reason
    assert look(data).fault is Fault.TOO_LARGE


def test_between_our_limit_and_pillows_ours_holds():
    image = encoded(Image.new("1", (9000, 9000)), "PNG")
    assert fault(image).reason == "it claims 9,000 x 9,000 pixels, more than 80,000,000"


def test_the_same_bytes_give_the_same_pixels():
    data = encoded(smooth(300, 200), "JPEG")
    assert np.array_equal(pixels(data), pixels(data))


# A format for them


def test_alike_pictures_keep_their_shape():
    form = suggest([Facts("PNG", 28, 28, 1)] * 3)
    assert form == PictureFormat(height=28, width=28, channels=1)
    assert suggest([Facts("JPEG", 300, 400, 3)] * 2, longest=100) == PictureFormat(height=75, width=100)


def test_pictures_of_many_shapes_become_squares():
    form = suggest([Facts("JPEG", 300, 400, 3), Facts("JPEG", 400, 300, 1), Facts("JPEG", 300, 400, 3)])
    assert form == PictureFormat(height=128, width=128, resize="crop")
