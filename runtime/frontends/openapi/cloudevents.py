"""The route of events. `POST /` answers events too, and leaves every other request to the author's function."""

from typing import Final

from runtime.frontends.openapi.operations import (
    INFERENCE_ERRORS,
    TEXT,
    Description,
    Operation,
    Schema,
    Subject,
    array,
    body,
    header,
    record,
)
from runtime.frontends.openapi.predict import ERROR, example

_STRUCTURED: Final = "application/cloudevents+json"
_BATCH: Final = "application/cloudevents-batch+json"
_ATTRIBUTE: Final[Schema] = {"type": "string", "minLength": 1}
_EXAMPLES: Final = {"specversion": "1.0", "id": "1", "source": "/example", "type": "com.example.row"}
_REQUIRED: Final = tuple(_EXAMPLES)
_EVENT: Final = record(
    {
        "specversion": {"const": "1.0"},
        "id": _ATTRIBUTE,
        "source": _ATTRIBUTE,
        "type": _ATTRIBUTE,
        "datacontenttype": TEXT,
        "subject": _ATTRIBUTE,
        "time": {"type": "string", "format": "date-time"},
        "data": {},
        "data_base64": TEXT,
    },
    required=_REQUIRED,
)
_ERRORS: Final = {
    **{status: text for status, text in INFERENCE_ERRORS.items() if status != "404"},
    "400": "the event or its data is not valid, or it selects a model that is not served",
    "403": "the event names an object of a bucket that is not allowed",
    "410": "the event names an object that does not exist",
    "415": "an unsupported Content-Encoding or type of data, or several events, which are not enabled",
}
_DESCRIPTION: Final = (
    "One event in binary or structured mode, or several in batched mode if SCALEZERO_EVENT_BATCHES=true. The data is "
    "a body of the predict API, of KServe V1 or of the Open Inference Protocol, or the inputs alone. Instead of an "
    "event, an S3 event notification is accepted. `POST /` answers events in the same way."
)


def _receive(subject: Subject) -> Operation:
    attributes = [
        header(f"ce-{name}", TEXT, f"{name}, in binary mode", example=value) for name, value in _EXAMPLES.items()
    ]
    only = Subject(subject.models, subject.models[0]) if len(subject.models) == 1 else None
    data = None if only is None else example(only.signature)
    reply = {
        "description": "the reply, in the mode of the event",
        "content": {
            "application/json": {"schema": {}},
            _STRUCTURED: {"schema": _EVENT},
            _BATCH: {"schema": array(_EVENT)},
        },
    }
    request = body(
        {
            _STRUCTURED: {"schema": _EVENT},
            _BATCH: {"schema": array(_EVENT)},
            "application/json": {"schema": {}, **({} if data is None else {"example": data})},
            "application/octet-stream": {"schema": {}},
        }
    )
    return Operation(
        "Answer an event",
        {"200": reply, "204": {"description": "answered, without a reply"}},
        _ERRORS,
        {**request, "required": False},
        attributes,
        _DESCRIPTION,
    )


DESCRIPTION: Final = Description(
    tag="CloudEvents",
    text="Events in, events out: CloudEvents 1.0 over HTTP.",
    error=ERROR,
    operations={"receive": _receive},
)
