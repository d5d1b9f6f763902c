"""Images with known text, in the font that Pillow contains: pages for the detection, lines for the recognition."""

import random
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from functions.document_text.images import Pixels

SIDE: Final = 736  # pixels of a page: the shortest side that the detection takes, so that all pages are alike
_WORDS: Final = ("Invoice", "Total", "Amount", "Date", "Tax", "Order", "Name", "Street", "City", "Paid", "Due", "Item")
_COLOURS: Final = (("white", "black"), ("#f4ecd8", "#402000"), ("#dddddd", "#003366"), ("#203040", "white"))
_PER_PAGE: Final = 8  # lines


class Sample(NamedTuple):
    """An image, and its lines from top to bottom."""

    pixels: Pixels
    texts: list[str]


def pages(count: int, *, seed: int) -> list[Sample]:
    """Draw pages of 736 x 736 pixels with eight lines each, in several sizes and colours."""
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    return [_page(rng) for _ in range(count)]


def lines(count: int, *, seed: int) -> list[Sample]:
    """Draw single lines, at most 6 times as wide as high."""
    rng = random.Random(seed)  # noqa: S311 - a sample, not a secret
    return [_line(rng) for _ in range(count)]


def _page(rng: random.Random) -> Sample:
    paper, ink = rng.choice(_COLOURS)
    image = Image.new("RGB", (SIDE, SIDE), paper)
    texts = [f"{_text(rng)}  {_text(rng)}" for _ in range(_PER_PAGE)]
    for index, text in enumerate(texts):
        place = (rng.randint(20, 120), 30 + index * 86)
        ImageDraw.Draw(image).text(place, text, fill=ink, font=ImageFont.load_default(rng.randint(24, 36)))
    return Sample(_pixels(image), texts)


def _line(rng: random.Random) -> Sample:
    paper, ink = rng.choice(_COLOURS)
    text, font = _text(rng), ImageFont.load_default(rng.randint(28, 40))
    left, top, right, bottom = (int(each) for each in font.getbbox(text))
    image = Image.new("RGB", (min(right - left + 12, 6 * (bottom - top + 12)), bottom - top + 12), paper)
    ImageDraw.Draw(image).text((6 - left, 6 - top), text, fill=ink, font=font)
    return Sample(_pixels(image), [text])


def _text(rng: random.Random) -> str:
    return rng.choice(_WORDS) + rng.choice((":", "-", "")) + str(rng.randint(10, 999))


def _pixels(image: Image.Image) -> Pixels:
    """Return the pixels in the order of OpenCV: blue, green, red."""
    return np.asarray(image, np.uint8)[..., ::-1]
