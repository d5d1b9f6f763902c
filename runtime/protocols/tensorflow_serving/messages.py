"""The generated messages, imported by the first call, and the ModelSpec of every request. Pure."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from runtime import versions
from runtime.errors import InvalidInput, RefusedInput, UnknownSignature
from runtime.protobuf import delimited, varint
from runtime.protocols.tensorflow_serving.signature import DEFAULT

NAME: Final = "tensorflow_serving"
HasZero: TypeAlias = Callable[[str], bool]  # whether the model of that name has a version 0


class Target(NamedTuple):
    """The model and signature that a request addresses."""

    name: str
    version: int | None  # a number as defined by `runtime.versions`; None: the default version
    signature: str


def parsed(kind: str, message: bytes | memoryview) -> Any:  # noqa: ANN401 - a class of a generated module
    """Parse a message of that class. Raises `InvalidInput`."""
    try:
        return message_class(kind).FromString(message)
    except _decode_error() as error:
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected=f"a {kind}") from error


@cache
def message_class(kind: str) -> Any:  # noqa: ANN401 - as above
    """Return a class of the package tensorflow.serving or tensorflow."""
    from runtime.protocols.protos import tensorflow_pb2, tensorflow_serving_pb2

    return getattr(tensorflow_serving_pb2, kind, None) or getattr(tensorflow_pb2, kind)


def target(request: Any, has_zero: HasZero) -> Target:  # noqa: ANN401 - a request or a task
    """Read the ModelSpec of a request. Raises `RefusedInput` without a model, and for a label: versions have no labels.

    Version 0 is the default version if the model has no version 0: ovmsclient sends 0 for a request without a version.
    """
    if not request.HasField("model_spec"):
        raise RefusedInput("Missing ModelSpec", field="model_spec")
    spec = request.model_spec
    if not spec.name:
        raise RefusedInput("ModelSpec has no name specified.", field="model_spec.name")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        text = f"Unrecognized servable version label: {spec.version_label[:80]}"
        raise RefusedInput(text, field="model_spec.version_label")
    version: int | None = spec.version.value if choice else None
    if version == 0 and not has_zero(spec.name):
        version = None
    return Target(spec.name, version, spec.signature_name or DEFAULT)


def check_signature(name: str) -> None:
    """Raise `UnknownSignature` for any signature but "serving_default"."""
    if name != DEFAULT:
        raise UnknownSignature(name, DEFAULT)


@lru_cache(64)
def model_spec(name: str, version: str) -> bytes:
    """Return the serialized ModelSpec of an answer: with the resolved version and signature."""
    number = versions.number(version)
    value = b"\x08" + varint(number) if number else b""
    return delimited(1, name.encode()) + delimited(2, value) + delimited(3, DEFAULT.encode())


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
