"""Decoding of an image in a request, and its size for the models. Pure: bytes -> `Page`.

The sizes are those of rapidocr: the longer side has at most 2,000 pixels, the shorter one at least 30, and a low or
wide image gets black borders above and below. Unlike rapidocr, an image is turned as its EXIF orientation says, a
transparent one is put on white, and colour palettes and CMYK are converted.

Source of the rules: rapidocr-onnxruntime 1.4.4 (https://github.com/RapidAI/RapidOCR), Apache-2.0.
"""

import io
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from runtime.errors import InvalidInput

Pixels = npt.NDArray[np.uint8]  # [height, width, 3], in the order blue, green, red
Boxes = npt.NDArray[np.float32]  # [boxes, 4, 2]: the corners of each, x and y, clockwise from the top left

FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
MAX_PIXELS: Final = 25_000_000
MAX_WIDTH: Final = 100  # times the height
MAX_HEIGHT: Final = 8  # times the width: a higher image would take several GiB in the detection
_LONGEST: Final = 2_000  # pixels
_SHORTEST: Final = 30
_WIDE: Final = 8  # times the height; beyond it, and below the lowest height, an image gets borders
_STEP: Final = 32  # the models take multiples of it

_EXPECTED: Final = f"an image ({', '.join(FORMATS)})"


class Page(NamedTuple):
    """An image in the size for the models, and what leads back to the coordinates of the caller's image."""

    pixels: Pixels
    border: int  # pixels above the image
    scale: tuple[float, float]  # pixels of the caller's image for each of these, in x and y
    size: tuple[int, int]  # width and height of the caller's image

    def in_image(self, boxes: Boxes) -> Boxes:
        """Return boxes of this page as boxes of the caller's image, within its edges."""
        moved = (boxes - np.array([0, self.border], np.float32)) * np.array(self.scale, np.float32)
        return np.clip(moved, 0, np.array(self.size, np.float32))


def read(content: bytes) -> Page:
    """Decode an image. Raises `InvalidInput` if it is broken, of another format, too large or too narrow."""
    pixels = decode(content)
    height, width = pixels.shape[:2]
    fitted = _fit(pixels)
    scale = (width / fitted.shape[1], height / fitted.shape[0])
    border = _border(*fitted.shape[:2])
    bordered = cv2.copyMakeBorder(fitted, border, border, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    return Page(np.asarray(bordered, np.uint8), border, scale, (width, height))


def decode(content: bytes) -> Pixels:
    """Return the pixels of an image, upright and without transparency. Raises `InvalidInput`."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(*image.size)
            upright = ImageOps.exif_transpose(image)
            _check_shape(*upright.size)
            return np.asarray(_opaque(upright), np.uint8)[..., ::-1]
    except InvalidInput:
        raise
    except Image.DecompressionBombError as error:  # before the size is known
        raise InvalidInput("body", got="an image of too many pixels", expected=_limit()) from error
    except Exception as error:  # Pillow and its decoders raise many types for a broken file
        raise InvalidInput("body", got=_describe(content, error), expected=_EXPECTED) from error


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InvalidInput("body", got=f"an image of {width} x {height} pixels", expected=_limit())


def _check_shape(width: int, height: int) -> None:
    if width > MAX_WIDTH * height or height > MAX_HEIGHT * width:
        allowed = (
            f"a width of at most {MAX_WIDTH} times the height, and a height of at most {MAX_HEIGHT} times the width"
        )
        raise InvalidInput("body", got=f"an image of {width} x {height} pixels", expected=allowed)


def _limit() -> str:
    return f"an image of at most {MAX_PIXELS:,} pixels"


def _describe(content: bytes, error: Exception) -> str:
    if not content:
        return "an empty body"
    if isinstance(error, UnidentifiedImageError):
        return f"{len(content)} bytes that are no such image"
    return f"a broken image ({error})"


def _opaque(image: Image.Image) -> Image.Image:
    """Return the image in RGB. A grey image of 16 bits keeps the upper 8."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _fit(pixels: Pixels) -> Pixels:
    """Return the image with sides within the limits."""
    height, width = pixels.shape[:2]
    if max(height, width) > _LONGEST:
        pixels = resized(pixels, _LONGEST / max(height, width))
    if min(pixels.shape[:2]) < _SHORTEST:
        pixels = resized(pixels, _SHORTEST / min(pixels.shape[:2]))
    return pixels


def resized(pixels: Pixels, ratio: float) -> Pixels:
    """Return the image in another size, whose sides are multiples of 32 pixels, and at least 32."""
    height, width = (max(round(int(side * ratio) / _STEP), 1) * _STEP for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height)), np.uint8)


def _border(height: int, width: int) -> int:
    """Return the height of the border above and below the image, in pixels; 0 for most images."""
    if height > _SHORTEST and width / height <= _WIDE:
        return 0
    return int(abs(max(int(width / _WIDE), _SHORTEST) * 2 - height) / 2)
