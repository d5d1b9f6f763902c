"""The methods of ml.v1.InferenceService."""

from typing import TYPE_CHECKING

from runtime.frontends.grpc.batch import Batch
from runtime.frontends.grpc.unary import InferenceMethod
from runtime.protocols.ml_v1 import BatchPredict, Predict

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context


def handlers(context: "Context") -> dict[str, InferenceMethod | Batch]:
    """Return the handlers of the service's methods."""
    service = context.service
    return {
        "Predict": InferenceMethod(service, Predict(), context.edge, views=True),
        "BatchPredict": Batch(service, BatchPredict()),
    }
