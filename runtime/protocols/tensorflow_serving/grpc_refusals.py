"""Errors as gRPC answers, with TensorFlow Serving's messages where clients depend on them. Pure."""

from runtime.errors import ScalezeroError, UnknownModel, UnknownSignature
from runtime.http.messages import Answer
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.protocols.tensorflow_serving.refusals import servable


def refuse(fault: ScalezeroError) -> Answer:
    """Return the answer of PredictionService. Clients wait for a model while the message contains "Servable"."""
    if isinstance(fault, UnknownModel):
        return grpc_error_answer(fault, servable(fault))
    if isinstance(fault, UnknownSignature):
        return grpc_error_answer(fault, f'Serving signature key "{fault.details["signature"]}" not found.')
    return grpc_error_answer(fault)


def refuse_status(fault: ScalezeroError) -> Answer:
    """Return the answer of ModelService."""
    if isinstance(fault, UnknownModel):
        model, version = fault.details["model"], fault.details.get("version")
        wanted = "any versions" if version is None else f"version {version}"
        return grpc_error_answer(fault, f"Could not find {wanted} of model {model}")
    return grpc_error_answer(fault)
