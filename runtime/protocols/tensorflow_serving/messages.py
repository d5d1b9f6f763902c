"""The generated messages, imported when the first call comes, and the ModelSpec that every request has. Pure."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from runtime import versions
from runtime.errors import InvalidInput, RefusedInput, UnknownSignature
from runtime.protobuf import delimited, varint
from runtime.protocols.tensorflow_serving.signature import DEFAULT

NAME: Final = "tensorflow_serving"
HasZero: TypeAlias = Callable[[str], bool]  # whether the model of that name has a version 0


class Asked(NamedTuple):
    """Which model a request asks. `version` is a number as `runtime.versions` has it; None: the default one."""

    name: str
    version: int | None
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


def asked(request: Any, has_zero: HasZero) -> Asked:  # noqa: ANN401 - a request or a task
    """Read its ModelSpec. Raises `RefusedInput` where it names no model, or a label: versions have none here.

    ovmsclient sends version 0 where its user names none: that is the default version, unless there is a version 0.
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
    return Asked(spec.name, version, spec.signature_name or DEFAULT)


def check_signature(name: str) -> None:
    """Raise `UnknownSignature` for a signature that no ONNX model has."""
    if name != DEFAULT:
        raise UnknownSignature(name, DEFAULT)


@lru_cache(64)
def model_spec(name: str, version: str) -> bytes:
    """A serialized ModelSpec, as answers have it: resolved."""
    number = versions.number(version)
    value = b"\x08" + varint(number) if number else b""
    return delimited(1, name.encode()) + delimited(2, value) + delimited(3, DEFAULT.encode())


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
