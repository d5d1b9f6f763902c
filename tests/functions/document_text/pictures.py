"""Images of documents, drawn with the font of Pillow."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

LINES = ("Invoice 2026-11-29", "Total amount: 1,234.50 EUR", "Please pay within 30 days.", "Thank you!")


def page(
    lines: Sequence[str] = LINES,
    *,
    size: tuple[int, int] = (560, 330),
    letters: int = 28,
    angle: float = 0,
    paper: str = "white",
    ink: str = "black",
) -> Image.Image:
    """Draw lines on paper; `letters` is their height in pixels, `angle` turns the page anticlockwise, in degrees."""
    image = Image.new("RGB", size, paper)
    for index, line in enumerate(lines):
        place = (30, 20 + index * 2.5 * letters)
        ImageDraw.Draw(image).text(place, line, fill=ink, font=ImageFont.load_default(letters))
    return image.rotate(angle, expand=True, fillcolor=paper, resample=Image.Resampling.BICUBIC) if angle else image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PICTURES: dict[str, bytes] = {
    "page": encoded(page()),
    "jpeg": encoded(page(), "JPEG"),
    "turned": encoded(page(angle=11)),
    "turned_jpeg": encoded(page(angle=-20, paper="#f4ecd8", ink="#402000"), "JPEG", quality=80),
    "sideways": encoded(page(LINES[:2], angle=90)),
    "on_its_head": encoded(page(LINES[2:], size=(560, 180), angle=180)),
    "dark": encoded(page(paper="#102040", ink="white")),
    "grey": encoded(page(LINES[:2]).convert("L")),
    "bits": encoded(page(LINES[:2]).convert("1")),
    "columns": encoded(page([f"{line}   {line}" for line in ("Name", "Street", "City")])),
    "large": encoded(page(LINES[2:], size=(2_200, 1_000), letters=90), "JPEG"),
    "banner": encoded(page(LINES[1:2], size=(900, 70))),
    "low": encoded(page(["A low line"], size=(400, 26), letters=16).crop((0, 15, 400, 41))),
    "empty": encoded(Image.new("RGB", (300, 200), "white")),
}
