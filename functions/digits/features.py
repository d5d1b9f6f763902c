"""Conversion of images in a request to the 64 pixels of the model.

This module is on the request path, so it imports only the standard library. An image of another size, a value out of
range, or an unknown field raises `InvalidInput` with the field, the received value and the expected one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runtime.errors import InvalidInput

SIDE: Final = 8  # pixels
BLACK: Final = 16  # a white pixel is 0

_PIXEL: Final = f"a number from 0 to {BLACK}"
_ROW: Final = f"a list of {SIDE} numbers from 0 to {BLACK}"
_IMAGE: Final = f"a list of {SIDE} rows, each {_ROW}"
_BODY: Final = 'a JSON object, {"image": IMAGE} or {"images": [IMAGE, ...]}'


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitsRequest:
    """The images of one request: the 64 pixels of each, and whether the body has a single image and not a list."""

    rows: list[list[float]]
    single: bool

    @classmethod
    def read(cls, body: bytes) -> "DigitsRequest":
        """Read a request body: `image`, or `images` with at least one, as JSON; the content type is ignored.

        Raises `InvalidInput` for the first invalid value.
        """
        field, content = _only_field(_parse(body))
        if field == "image":
            return cls(rows=[pixels(content, at=field)], single=True)
        if not isinstance(content, list) or not content:
            raise InvalidInput(field, got=_format_value(content), expected="a list of at least one image")
        return cls(rows=[pixels(each, at=f"{field}[{index}]") for index, each in enumerate(content)], single=False)


def pixels(image: object, *, at: str) -> list[float]:
    """Check an image from JSON and return its 64 pixels, row by row; `at` is its position in the request body.

    Raises `InvalidInput`.
    """
    rows = _list_of(SIDE, image, at=at, expected=_IMAGE)
    return [pixel for index, row in enumerate(rows) for pixel in _row(row, at=f"{at}[{index}]")]


def _row(row: object, *, at: str) -> list[float]:
    values = _list_of(SIDE, row, at=at, expected=_ROW)
    return [_pixel(value, at=f"{at}[{index}]") for index, value in enumerate(values)]


def _pixel(value: object, *, at: str) -> float:
    """Check one pixel. JSON's true and false are not numbers; NaN is in no range."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= BLACK:
        raise InvalidInput(at, got=_format_value(value), expected=_PIXEL)
    return float(value)


def _list_of(length: int, value: object, *, at: str, expected: str) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        raise InvalidInput(at, got=_format_value(value), expected=expected)
    return value


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
        raise InvalidInput("body", got=f"invalid JSON ({error})", expected=_BODY) from error


def _only_field(content: object) -> tuple[str, object]:
    """Return the name and the value of the only field, `image` or `images`."""
    if not isinstance(content, Mapping):
        raise InvalidInput("body", got=_format_value(content), expected=_BODY)
    unknown = next((name for name in content if name not in {"image", "images"}), None)
    if unknown is not None:
        raise InvalidInput(unknown, got="an unknown field", expected="image or images")
    if len(content) != 1:
        raise InvalidInput("body", got="both image and images" if content else "an empty object", expected=_BODY)
    return next(iter(content.items()))


def _format_value(value: object) -> str:
    """Describe a value from JSON. Only the length of a list is shown: an image in full would hide the error."""
    if isinstance(value, list):
        return f"a list of length {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # enough to recognize it
