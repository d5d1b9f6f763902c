"""The function, which recognizes handwritten digits: images of 8x8 grey pixels, each from 0 (white) to 16 (black)."""

import flask
from flask.typing import ResponseReturnValue

from functions.digits.features import DigitsRequest
from runtime.author import answer_errors, model


@answer_errors
def handle(request: flask.Request) -> ResponseReturnValue:
    """Answer {"image": IMAGE} with its digit, and {"images": [IMAGE, ...]} with a list in the same order."""
    images = DigitsRequest.read(request.get_data())
    outputs = model("digits").predict(images.rows).outputs
    digits, confidences = outputs["label"].tolist(), outputs["probabilities"].max(axis=1).tolist()
    answers = [
        {"digit": digit, "confidence": confidence} for digit, confidence in zip(digits, confidences, strict=True)
    ]
    return answers[0] if images.single else answers
