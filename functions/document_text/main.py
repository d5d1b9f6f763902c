"""The function, which reads the text in an image: the body of the request is the image.

One model finds the lines, a second one those that are upside down, and a third one reads each line.
"""

import threading

import flask
import numpy as np
from flask.typing import ResponseReturnValue

from functions.document_text import angle, detection, images, recognition
from runtime.author import answer_errors, model
from runtime.errors import InvalidInput

MULTIPART = "multipart/form-data"
MIN_SCORE = 0.5  # a line with a lower one is not answered
_decoding = threading.Lock()  # one image at a time: a large one takes 0.3 GiB until it has the size for the models


@answer_errors
def handle(request: flask.Request) -> ResponseReturnValue:
    """Answer with the lines in reading order: the text, its score and the corners of its box in pixels."""
    if request.mimetype == MULTIPART:
        raise InvalidInput("body", got=MULTIPART, expected="the bytes of the image (curl --data-binary @FILE)")
    content = request.get_data()
    with _decoding:
        page = images.read(content)
    boxes = find(page)
    return {
        "lines": [
            {"text": line.text, "score": line.score, "box": box.tolist()}
            for line, box in zip(read(page, boxes), page.in_image(boxes), strict=True)
            if line.score >= MIN_SCORE
        ]
    }


def find(page: images.Page) -> images.Boxes:
    """Return the boxes of the lines on the page."""
    height, width = page.pixels.shape[:2]
    (output,) = model("document-text").predict(detection.tensor(page.pixels)).outputs.values()
    return detection.boxes(output[0, 0], height=height, width=width)


def read(page: images.Page, boxes: images.Boxes) -> list[recognition.Text]:
    """Return the text in each box. Groups of the same width share runs, also with those of other callers."""
    texts: dict[int, recognition.Text] = {}
    for group in recognition.groups(upright([recognition.cut(page.pixels, box) for box in boxes])):
        (output,) = model("text-recognition").predict(group.tensor).outputs.values()
        texts.update(zip(group.indices, recognition.texts(np.asarray(output, np.float32)), strict=True))
    return [texts[index] for index in range(len(boxes))]


def upright(lines: list[images.Pixels]) -> list[images.Pixels]:
    """Return the lines, with those that are upside down turned."""
    turned: list[images.Pixels] = []
    for start in range(0, len(lines), recognition.GROUP):
        part = lines[start : start + recognition.GROUP]
        (scores,) = model("text-angle").predict(angle.tensor(part)).outputs.values()
        turned += angle.upright(part, np.asarray(scores, np.float32))
    return turned
