"""An image becomes the page that rapidocr works on, or an error that says what is wrong with it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from functions.document_text.images import Boxes, decode, read
from runtime.errors import InvalidInput
from tests.functions.document_text.pictures import PICTURES, encoded, page

RED = (204, 51, 0)  # of the palette of the web
SIZES = [(300, 200), (200, 40), (2_500, 700), (700, 2_500), (400, 24), (20, 20), (900, 100), (3_000, 40), (2_000, 250)]
BOX = np.array([[[3, 40], [90, 41], [90, 60], [3, 61]]], np.float32)


def fault(content: bytes) -> dict[str, object]:
    with pytest.raises(InvalidInput) as caught:
        read(content)
    return dict(caught.value.details)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_an_image_of_any_size_becomes_the_page_of_rapidocr(original: Any, size: tuple[int, int]) -> None:  # noqa: ANN401
    content = encoded(page(["Some text"], size=size))
    resized, ratio_height, ratio_width = original.preprocess(original.load_img(content))
    record = {"preprocess": {"ratio_h": ratio_height, "ratio_w": ratio_width}}
    expected, record = original.maybe_add_letterbox(resized, record)
    ours = read(content)
    assert np.array_equal(ours.pixels, expected)
    width, height = size
    assert np.allclose(ours.in_image(BOX), original._get_origin_points([*BOX], record, height, width), atol=1e-3)


@pytest.mark.parametrize("name", ["page", "jpeg", "grey", "bits"])
def test_the_pixels_are_those_of_rapidocr(original: Any, name: str) -> None:  # noqa: ANN401
    assert np.array_equal(decode(PICTURES[name]), original.load_img(PICTURES[name]))


def test_boxes_end_at_the_edges_of_the_image() -> None:
    outside: Boxes = np.array([[[-5, -5], [900, -5], [900, 900], [-5, 900]]], np.float32)
    corners = read(encoded(page(size=(100, 60)))).in_image(outside)
    assert corners.tolist() == [[[0, 0], [100, 0], [100, 60], [0, 60]]]


def test_the_orientation_of_a_photo_is_applied() -> None:
    upright = page(size=(120, 80))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees; a viewer turns it back
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    assert np.array_equal(decode(encoded(stored, exif=exif)), decode(encoded(upright)))


def test_a_transparent_image_is_put_on_white() -> None:
    ink = page(size=(120, 80)).convert("L").point(lambda value: 255 - value)
    layer = Image.new("RGBA", ink.size, "black")
    layer.putalpha(ink)
    assert np.array_equal(decode(encoded(layer)), decode(encoded(page(size=(120, 80)))))


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGBA", "LA", "I;16"])
def test_colours_of_every_mode_are_converted(mode: str) -> None:
    colour = (120, 120, 120) if mode in {"LA", "I;16"} else RED
    image = Image.new("RGB", (40, 40), colour)
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 40), 120 << 8, np.uint16))
    assert image.convert(mode).mode == mode
    blue_green_red = decode(encoded(image.convert(mode), "TIFF"))[20, 20]
    assert np.abs(blue_green_red[::-1].astype(int) - colour).max() <= 1


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_every_format_of_the_message_is_read(kind: str) -> None:
    assert decode(encoded(page(size=(60, 40)), kind)).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "an empty body"),
        (b"%PDF-1.4", "8 bytes that are no such image"),
        (PICTURES["page"][:900], "a broken image ("),
        (PICTURES["jpeg"][:900], "a broken image ("),
        (PICTURES["page"][:400] + b"x" * 9 + PICTURES["page"][409:], "a broken image ("),
        (b"\x89PNG\r\n\x1a\n", "8 bytes that are no such image"),
        (encoded(page(size=(60, 40)), "PPM"), "7213 bytes that are no such image"),
    ],
)
def test_a_broken_image_is_an_error_with_what_came_and_the_formats(content: bytes, got: str) -> None:
    details = fault(content)
    assert details["field"] == "body"
    assert str(details["got"]).startswith(got)
    assert details["expected"] == "an image (BMP, GIF, JPEG, PNG, TIFF, WEBP)"


@pytest.mark.parametrize(
    ("size", "got", "expected"),
    [
        ((6_000, 5_000), "an image of 6000 x 5000 pixels", "an image of at most 25,000,000 pixels"),
        ((1_010, 10), "an image of 1010 x 10 pixels", "a width of at most 100 times the height"),
        ((50, 401), "an image of 50 x 401 pixels", "a height of at most 8 times the width"),
    ],
)
def test_an_image_that_is_too_large_or_too_narrow_is_an_error(size: tuple[int, int], got: str, expected: str) -> None:
    details = fault(encoded(Image.new("1", size)))
    assert details["got"] == got
    assert expected in str(details["expected"])


def test_an_image_of_more_pixels_than_pillow_opens_is_an_error() -> None:
    header = encoded(Image.new("1", (10, 10)), "BMP")
    huge = header[:18] + (30_000).to_bytes(4, "little") * 2 + header[26:]
    assert fault(huge)["expected"] == "an image of at most 25,000,000 pixels"


def test_the_shape_counts_as_the_image_is_shown() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(Image.new("1", (40, 401)), exif=exif)).shape == (40, 401, 3)
    assert fault(encoded(Image.new("1", (401, 40)), exif=exif))["got"] == "an image of 40 x 401 pixels"
