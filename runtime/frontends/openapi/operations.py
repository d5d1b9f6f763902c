"""The types and helpers with which the other modules of this package describe routes. Pure.

Source: OpenAPI Specification 3.1, "Operation Object".
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from runtime.model.signature import Signature

Schema: TypeAlias = dict[str, Any]
JSON: Final = "application/json"
OBJECT: Final[Schema] = {"type": "object"}
TEXT: Final[Schema] = {"type": "string"}
VERSION: Final = "version"  # the parameter of a path for a model's version

INVALID_FOR_MODEL: Final = "the request is not valid for the model"
QUEUE_FULL: Final = "the queue is full; Retry-After states when to try again"
UNAVAILABLE: Final = "the model cannot be loaded now, or the server is overloaded or is shutting down"
TIMED_OUT: Final = "the time in the queue or the run exceeded its timeout"
INFERENCE_ERRORS: Final = {
    "400": INVALID_FOR_MODEL,
    "404": "unknown model",
    "405": "a method other than POST",
    "408": "the request was not complete in time",
    "413": "the body, as sent or decompressed, exceeds the limit",
    "415": "an unsupported Content-Encoding",
    "429": QUEUE_FULL,
    "431": "the request line and headers exceed the limit",
    "500": "a server error",
    "503": UNAVAILABLE,
    "504": TIMED_OUT,
}
ANY_ERROR: Final = {"default": "an error"}
ABOUT_ONE_MODEL: Final = {"404": "unknown model", **ANY_ERROR}


class Model(NamedTuple):
    """A served model: the signature of each version, None for a version that is not loaded."""

    name: str
    signatures: "Mapping[str, Signature | None]"  # by version
    default: str = ""  # the version that answers a request without a version


class Subject(NamedTuple):
    """The subject of one operation."""

    models: Sequence[Model]  # all served models
    model: Model | None = None  # the model in the path
    parameters: Sequence[str] = ()  # of the path, without the model
    protocols: Collection[str] = ()  # all described protocols

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name if self.model else ""

    @property
    def signature(self) -> "Signature | None":
        """The signature against which requests are checked; None: it is unknown, or depends on the version."""
        if self.model is None:
            return None
        signatures = self.model.signatures
        if self.model.default in signatures and VERSION not in self.parameters:
            return signatures[self.model.default]
        first, *others = signatures.values() or [None]
        return first if all(each and first and _tensors(each) == _tensors(first) for each in others) else None


def _tensors(signature: "Signature") -> object:
    return signature.inputs, signature.outputs


class Operation(NamedTuple):
    """One operation. `answers` and `errors` are by status. Errors have the form of the protocol."""

    summary: str
    answers: Mapping[str, Schema]
    errors: Mapping[str, str] = ANY_ERROR
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    description: str = ""
    method: str = "post"  # the method under which a route for any method is described
    secured: bool = False  # it requires a key: see `document`


Describe: TypeAlias = Callable[[Subject], Operation]


class Description(NamedTuple):
    """The description of a protocol's routes. `operations` is by handler key."""

    tag: str
    text: str
    error: Schema
    operations: Mapping[str, Describe]


def answer(description: str, schema: Schema = OBJECT, *, media: str = JSON) -> Schema:
    """Return a response with one media type."""
    return {"description": description, "content": {media: {"schema": schema}}}


def json_body(schema: Schema, example: object = None) -> Schema:
    """Return a JSON request body; None: without an example."""
    return body({JSON: {"schema": schema, **({} if example is None else {"example": example})}})


def body(content: Mapping[str, Schema]) -> Schema:
    """Return a request body with one of several media types."""
    return {"required": True, "content": dict(content)}


def query(name: str, schema: Schema, description: str, *, example: object = None) -> Schema:
    """Return a query parameter."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "query", "description": description, "schema": schema, **shown}


def header(name: str, schema: Schema, description: str, *, example: object = None) -> Schema:
    """Return a header parameter."""
    return {**query(name, schema, description, example=example), "in": "header"}


def in_path(name: str, schema: Schema, example: object = None) -> Schema:
    """Return a path parameter."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "path", "required": True, "schema": schema, **shown}


def record(properties: Mapping[str, Schema], *, required: Sequence[str] | None = None, closed: bool = False) -> Schema:
    """Return the schema of an object. `required` defaults to all properties; `closed`: other properties are invalid."""
    document: Schema = {"type": "object", "properties": dict(properties)}
    if needed := list(properties) if required is None else list(required):
        document["required"] = needed
    return {**document, "additionalProperties": False} if closed else document


def array(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}
