"""The methods of ml.v1.InferenceService."""

from typing import TYPE_CHECKING

from runtime.frontends.grpc.batch import Batch
from runtime.frontends.grpc.unary import Inferred
from runtime.protocols.ml_v1 import BatchPredict, Predict

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context


def handlers(context: "Context") -> dict[str, Inferred | Batch]:
    """The methods of the service."""
    service = context.service
    return {
        "Predict": Inferred(service, Predict(), context.edge, views=True),
        "BatchPredict": Batch(service, BatchPredict()),
    }
