"""What a protocol says of its routes: the vocabulary of the modules beside this one. Pure.

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
VERSION: Final = "version"  # the parameter of a pattern that names a version

INFERENCE_ERRORS: Final = {
    "400": "the request is not what the model takes",
    "404": "no such model",
    "405": "another method than POST",
    "408": "the request was not complete in time",
    "413": "the body, as it came or inflated, is above the limit",
    "415": "a Content-Encoding that is not supported",
    "429": "the queue is full; Retry-After says when to try again",
    "431": "the request line and headers are above the limit",
    "500": "a fault of the server",
    "503": "the model cannot be loaded now, or the server is overloaded or shuts down",
    "504": "the request waited in the queue, or its run took, longer than its timeout",
}
ANY_ERROR: Final = {"default": "an error"}
ABOUT_ONE_MODEL: Final = {"404": "no such model", **ANY_ERROR}


class Model(NamedTuple):
    """A model as it is served: the signature of each version, None for one that is not loaded."""

    name: str
    signatures: "Mapping[str, Signature | None]"  # by version
    default: str = ""  # the version that answers where a request names none


class Subject(NamedTuple):
    """What one operation is about."""

    models: Sequence[Model]  # all that are served
    model: Model | None = None  # the one that the path names
    parameters: Sequence[str] = ()  # of the path besides the model
    protocols: Collection[str] = ()  # all that are described

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name if self.model else ""

    @property
    def signature(self) -> "Signature | None":
        """The signature that requests are held against; None: it is not known, or depends on the version."""
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
    """One operation. `answers` and `errors` are by status; an error has its protocol's form."""

    summary: str
    answers: Mapping[str, Schema]
    errors: Mapping[str, str] = ANY_ERROR
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    description: str = ""
    method: str = "post"  # under which a route of every method is described
    secured: bool = False  # it needs a key: see `document`


Describe: TypeAlias = Callable[[Subject], Operation]


class Description(NamedTuple):
    """A protocol's routes. `operations` is by handler key."""

    tag: str
    text: str
    error: Schema
    operations: Mapping[str, Describe]


def answer(description: str, schema: Schema = OBJECT, *, media: str = JSON) -> Schema:
    """An answer of one media type."""
    return {"description": description, "content": {media: {"schema": schema}}}


def json_body(schema: Schema, example: object = None) -> Schema:
    """A body of JSON. An example of None is none."""
    return body({JSON: {"schema": schema, **({} if example is None else {"example": example})}})


def body(content: Mapping[str, Schema]) -> Schema:
    """A body of one of several media types."""
    return {"required": True, "content": dict(content)}


def query(name: str, schema: Schema, description: str, *, example: object = None) -> Schema:
    """A parameter behind the question mark."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "query", "description": description, "schema": schema, **shown}


def header(name: str, schema: Schema, description: str, *, example: object = None) -> Schema:
    """A header."""
    return {**query(name, schema, description, example=example), "in": "header"}


def in_path(name: str, schema: Schema, example: object = None) -> Schema:
    """A parameter of the path."""
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "path", "required": True, "schema": schema, **shown}


def record(properties: Mapping[str, Schema], *, required: Sequence[str] | None = None, closed: bool = False) -> Schema:
    """An object of these properties, all required unless `required` says which; `closed`: of no others."""
    document: Schema = {"type": "object", "properties": dict(properties)}
    if needed := list(properties) if required is None else list(required):
        document["required"] = needed
    return {**document, "additionalProperties": False} if closed else document


def array(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}
