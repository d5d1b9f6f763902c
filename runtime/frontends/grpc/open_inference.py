"""The methods of inference.GRPCInferenceService."""

from typing import TYPE_CHECKING

from runtime.frontends.grpc.unary import Inferred
from runtime.protocols.open_inference.messages import ModelInfer

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context


def handlers(context: "Context") -> dict[str, Inferred]:
    """The methods of the service."""
    return {"ModelInfer": Inferred(context.service, ModelInfer(), context.edge, views=True)}
