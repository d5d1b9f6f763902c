"""The images of a request become rows of 64 pixels, or an error that names the first invalid value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.digits.features import BLACK, SIDE, DigitsRequest, pixels
from runtime.errors import InvalidInput

WHITE_IMAGE = [[0] * SIDE for _ in range(SIDE)]
IMAGES = st.lists(
    st.lists(st.integers(0, BLACK) | st.floats(0, BLACK), min_size=SIDE, max_size=SIDE), min_size=SIDE, max_size=SIDE
)
ROW = "a list of 8 numbers from 0 to 16"
IMAGE = f"a list of 8 rows, each {ROW}"
BODY = '{"image": IMAGE} or {"images": [IMAGE, ...]}'


def read(body: object) -> DigitsRequest:
    return DigitsRequest.read(body if isinstance(body, bytes) else json.dumps(body).encode())


def changed(row: int, column: int, value: object) -> list[list[object]]:
    """Return the white image with another value of one pixel."""
    image: list[list[object]] = [list(each) for each in WHITE_IMAGE]
    image[row][column] = value
    return image


@given(IMAGES)
def test_an_image_becomes_its_pixels_row_by_row(image: list[list[float]]) -> None:
    row = pixels(image, at="image")
    assert [row[index : index + SIDE] for index in range(0, len(row), SIDE)] == image
    assert all(type(pixel) is float for pixel in row)


@given(st.lists(IMAGES, min_size=1, max_size=4))
def test_several_images_become_rows_in_the_same_order(images: list[list[list[float]]]) -> None:
    several = read({"images": images})
    assert several.rows == [read({"image": image}).rows[0] for image in images]
    assert not several.single
    assert read({"image": images[0]}).single


@pytest.mark.parametrize(
    ("body", "field", "got", "expected"),
    [
        ({"image": changed(0, 0, 17)}, "image[0][0]", "17", "a number from 0 to 16"),
        ({"image": changed(7, 3, -0.5)}, "image[7][3]", "-0.5", "a number from 0 to 16"),
        ({"image": changed(1, 2, "3")}, "image[1][2]", '"3"', "a number from 0 to 16"),
        ({"image": changed(1, 2, value=True)}, "image[1][2]", "true", "a number from 0 to 16"),
        ({"image": changed(1, 2, None)}, "image[1][2]", "null", "a number from 0 to 16"),
        ({"image": changed(1, 2, float("nan"))}, "image[1][2]", "NaN", "a number from 0 to 16"),
        ({"image": changed(1, 2, 10**400)}, "image[1][2]", "1" + "0" * 56 + "...", "a number from 0 to 16"),
        ({"image": changed(1, 2, "x" * 99)}, "image[1][2]", '"' + "x" * 56 + "...", "a number from 0 to 16"),
        ({"image": changed(1, 2, [5])}, "image[1][2]", "a list of length 1", "a number from 0 to 16"),
        ({"image": [[0] * SIDE] * 7}, "image", "a list of length 7", IMAGE),
        ({"image": [0] * 64}, "image", "a list of length 64", IMAGE),
        ({"image": [*WHITE_IMAGE[1:], [0] * 9]}, "image[7]", "a list of length 9", ROW),
        ({"image": [*WHITE_IMAGE[1:], 0]}, "image[7]", "0", ROW),
        ({"image": {"rows": []}}, "image", "an object", IMAGE),
        ({"images": [WHITE_IMAGE, changed(2, 4, 99)]}, "images[1][2][4]", "99", "a number from 0 to 16"),
        ({"images": WHITE_IMAGE}, "images[0][0]", "0", ROW),
        ({"images": [WHITE_IMAGE, []]}, "images[1]", "a list of length 0", IMAGE),
        ({"images": []}, "images", "a list of length 0", "a list of at least one image"),
        ({"images": "all"}, "images", '"all"', "a list of at least one image"),
        ({"image": WHITE_IMAGE, "images": [WHITE_IMAGE]}, "body", "both image and images", BODY),
        ({"image": WHITE_IMAGE, "scale": 2}, "scale", "an unknown field", "image or images"),
        ({}, "body", "an empty object", BODY),
        ([WHITE_IMAGE], "body", "a list of length 1", BODY),
        (b"image=3", "body", "invalid JSON", BODY),
        (b"\xff", "body", "invalid JSON", BODY),
        (b"", "body", "invalid JSON", BODY),
        (b"[" * 100_000, "body", "invalid JSON", BODY),
    ],
)
def test_an_invalid_body_is_an_error_with_the_received_and_the_expected_value(
    body: object, field: str, got: str, expected: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(body)
    details = caught.value.details
    assert details["field"] == field
    assert str(details["got"]).startswith(got)
    assert expected in str(details["expected"])


@pytest.mark.parametrize("depth", range(900, 1_000, 7))
def test_any_nesting_is_an_error_of_the_input(depth: int) -> None:
    with pytest.raises(InvalidInput):
        read(b'{"image": ' + b"[" * depth + b"]" * depth + b"}")
