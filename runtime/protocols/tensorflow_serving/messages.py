"""The generated messages, imported when the first call comes, and the ModelSpec that every request has. Pure."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from runtime.errors import InvalidInput, RefusedInput, UnknownSignature
from runtime.protobuf import delimited, varint
from runtime.protocols.tensorflow_serving.signature import DEFAULT

NAME: Final = "tensorflow_serving"
Versions: TypeAlias = Callable[[str, int], str | None]  # a model's name, and TensorFlow's number -> our version


class Asked(NamedTuple):
    """Which model a request asks. `version` None is the one that is served by default."""

    name: str
    version: str | None
    signature: str


def parsed(kind: str, message: bytes | memoryview) -> Any:  # noqa: ANN401 - a class of a generated module
    """The message of that class. Raises `InvalidInput`."""
    try:
        return message_class(kind).FromString(message)
    except _decode_error() as error:
        raise InvalidInput("message", got=f"no protobuf ({error})", expected=f"a {kind}") from error


@cache
def message_class(kind: str) -> Any:  # noqa: ANN401 - as above
    """A class of the package tensorflow.serving or tensorflow."""
    from runtime.protocols.protos import tensorflow_pb2, tensorflow_serving_pb2

    return getattr(tensorflow_serving_pb2, kind, None) or getattr(tensorflow_pb2, kind)


def asked(request: Any, versions: Versions) -> Asked:  # noqa: ANN401 - a request or a task
    """Read its ModelSpec. Raises `RefusedInput` where it names no model, or a label: versions have none here."""
    if not request.HasField("model_spec"):
        raise RefusedInput("Missing ModelSpec", field="model_spec")
    spec = request.model_spec
    if not spec.name:
        raise RefusedInput("ModelSpec has no name specified.", field="model_spec.name")
    choice = spec.WhichOneof("version_choice")
    if choice == "version_label":
        text = f"Unrecognized servable version label: {spec.version_label[:80]}"
        raise RefusedInput(text, field="model_spec.version_label")
    version = versions(spec.name, spec.version.value) if choice else None
    return Asked(spec.name, version, spec.signature_name or DEFAULT)


def check_signature(name: str) -> None:
    """Raise `UnknownSignature` for a signature that no ONNX model has."""
    if name != DEFAULT:
        raise UnknownSignature(name, DEFAULT)


@lru_cache(64)
def model_spec(name: str, version: int, signature: str = "") -> bytes:
    """A serialized ModelSpec, as answers have it: resolved."""
    number = delimited(2, b"\x08" + varint(version)) if version else delimited(2, b"")
    return delimited(1, name.encode()) + number + (delimited(3, signature.encode()) if signature else b"")


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
