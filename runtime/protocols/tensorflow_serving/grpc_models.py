"""The methods of TensorFlow Serving's gRPC services about models: signatures and states. Pure."""

from collections.abc import Iterable
from typing import Any, Final

from runtime import versions
from runtime.errors import RefusedInput, UnsupportedOperation
from runtime.model.signature import Signature
from runtime.protocols.tensorflow_serving import messages
from runtime.protocols.tensorflow_serving.messages import HasZero, Target
from runtime.protocols.tensorflow_serving.model_status import VersionStatus
from runtime.protocols.tensorflow_serving.signature import DEFAULT, PREDICT, data_type, dimensions, tensors
from runtime.tensors import TensorSpec

_FIELD: Final = "signature_def"  # the only supported metadata field


def metadata_request(message: bytes, has_zero: HasZero) -> Target:
    """Parse a GetModelMetadataRequest. Raises `InvalidInput` and `RefusedInput`."""
    request = messages.parsed("GetModelMetadataRequest", message)
    target = messages.target(request, has_zero)
    if not request.metadata_field:
        text = "GetModelMetadataRequest must specify at least one metadata_field"
        raise RefusedInput(text, field="metadata_field")
    for name in request.metadata_field:
        if name != _FIELD:
            raise RefusedInput(f"Metadata field {name[:80]} is not supported", field="metadata_field")
    return target


def metadata(model: str, version: str, signature: Signature) -> bytes:
    """Return a GetModelMetadataResponse."""
    response = messages.message_class("GetModelMetadataResponse")()
    response.model_spec.name = model
    response.model_spec.version.value = versions.number(version)
    signatures = messages.message_class("SignatureDefMap")()
    default = signatures.signature_def[DEFAULT]
    default.method_name = PREDICT
    for spec in tensors(signature.inputs):
        _describe(default.inputs[spec.name], spec)
    for spec in tensors(signature.outputs):
        _describe(default.outputs[spec.name], spec)
    response.metadata[_FIELD].Pack(signatures)
    content: bytes = response.SerializeToString()
    return content


def status_request(message: bytes, has_zero: HasZero) -> Target:
    """Parse a GetModelStatusRequest. Raises `InvalidInput` and `RefusedInput`."""
    return messages.target(messages.parsed("GetModelStatusRequest", message), has_zero)


def status(every: Iterable[tuple[str | None, VersionStatus]]) -> bytes:
    """Return a GetModelStatusResponse with these versions and the status of each.

    None, a version that is unknown until its model is loaded, is reported as 0.
    """
    response = messages.message_class("GetModelStatusResponse")()
    for version, version_status in every:
        number = 0 if version is None else versions.number(version)
        item = response.model_version_status.add(version=number, state=version_status.state_number)
        item.status.error_code = version_status.code_number
        item.status.error_message = version_status.message
    content: bytes = response.SerializeToString()
    return content


def reload_config(_: bytes) -> bytes:
    """Refuse HandleReloadConfigRequest. Raises `UnsupportedOperation`."""
    reason = "a process serves the models that it was started with; to serve other models, deploy another revision"
    raise UnsupportedOperation("HandleReloadConfigRequest", reason)


def _describe(info: Any, spec: TensorSpec) -> None:  # noqa: ANN401 - a TensorInfo
    info.name = spec.name
    info.dtype = data_type(spec.dtype).number
    sizes = dimensions(spec)
    if sizes is None:
        info.tensor_shape.unknown_rank = True
        return
    info.tensor_shape.SetInParent()
    for size in sizes:
        info.tensor_shape.dim.add(size=size)
