"""The function, which recognizes the type of a file by its content: the body of a request, or an object in S3."""

import flask
from cloudevents.http import CloudEvent
from flask.typing import ResponseReturnValue

from functions.file_type import features
from runtime.author import answer_errors, model
from runtime.author.events import fetch, objects
from runtime.errors import InvalidInput

MULTIPART = "multipart/form-data"


@answer_errors
def handle(request: flask.Request) -> ResponseReturnValue:
    """Answer with the label, description, MIME type, group and score of the file."""
    if request.mimetype == MULTIPART:
        raise InvalidInput("body", got=MULTIPART, expected="the bytes of the file (curl --data-binary @FILE)")
    return identify(request.get_data())._asdict()


def on_object(event: CloudEvent) -> dict[str, object] | None:
    """Answer an event about stored objects with the type of each; an event that names none gets no reply."""
    files = [
        {"bucket": each.bucket, "key": each.key, "version": each.version, **identify(fetch(each).data)._asdict()}
        for each in objects(event)
    ]
    return {"files": files} if files else None


def identify(content: bytes) -> features.FileType:
    """Return the type of a file. The model is not asked for files of less than 8 bytes."""
    window = features.window(content)
    if window is None:
        return features.of_short(content)
    scores = model("file-type").predict(window[None]).outputs["target_label"]
    return features.of_scores(scores[0])
