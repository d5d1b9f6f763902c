"""The methods of TensorFlow Serving's PredictionService and ModelService."""

from typing import TYPE_CHECKING

from runtime import versions
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import Endpoint, InferenceMethod, compress, deadline
from runtime.frontends.inference import load
from runtime.http.messages import Answer, Request
from runtime.protocols.tensorflow_serving import grpc_models
from runtime.protocols.tensorflow_serving.grpc_examples import Classify, MultiInference, Regress
from runtime.protocols.tensorflow_serving.grpc_predict import Predict
from runtime.protocols.tensorflow_serving.messages import HasZero
from runtime.protocols.tensorflow_serving.model_status import version_status

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.frontends.mounting import Context
    from runtime.http.exchange import Exchange
    from runtime.service import Service


def handlers(context: "Context") -> "dict[str, InferenceMethod | Endpoint | Metadata]":
    """Return the handlers of the methods of both services."""
    service, edge = context.service, context.edge
    limit = service.settings.max_body_bytes
    has_zero = _zero(service)
    return {
        "Predict": InferenceMethod(service, Predict(has_zero, limit=limit), edge, views=True),
        "Classify": InferenceMethod(service, Classify(has_zero), edge, views=True),
        "Regress": InferenceMethod(service, Regress(has_zero), edge, views=True),
        "MultiInference": InferenceMethod(service, MultiInference(has_zero), edge, views=True),
        "GetModelMetadata": Metadata(service, edge, has_zero),
        "GetModelStatus": Endpoint(_Status(service, has_zero).answer, edge),
        "HandleReloadConfigRequest": Endpoint(grpc_models.reload_config, edge),
    }


def _zero(service: "Service") -> HasZero:
    """Return a function that returns whether a model has a version 0."""
    return lambda name: versions.with_number(service.models.versions(name), 0) is not None


class Metadata:
    """The handler of GetModelMetadata, which requires a loaded model."""

    def __init__(self, service: "Service", edge: "Edge", has_zero: HasZero) -> None:
        self._service = service
        self._edge = edge
        self._has_zero = has_zero

    def direct(self, exchange: "Exchange") -> bool:
        """Answer immediately if the message is not compressed and the model is loaded. Raises `ScalezeroError`."""
        request = exchange.request
        if framing.compressed(request):
            return False
        target = grpc_models.metadata_request(framing.small_message(request), self._has_zero)
        ready = self._service.model(target.name, target.version).ready
        if ready is None:
            return False
        self._edge.reply(exchange, framing.answer(grpc_models.metadata(ready.name, ready.version, ready.signature)))
        return True

    async def answer(self, request: Request) -> Answer:
        """Load the model if needed, and answer. Raises `ScalezeroError`."""
        message = await content.run_slices(framing.inflated_message(request, framing.SMALL))
        target = grpc_models.metadata_request(message, self._has_zero)
        ready = await load(self._service.model(target.name, target.version), deadline=deadline(request))
        self._service.model(target.name, target.version)  # raises if the version, which is known now, is another one
        described = grpc_models.metadata(ready.name, ready.version, ready.signature)
        return await compress(request, framing.answer(described))


class _Status:
    """The method GetModelStatus, which does not load the model."""

    def __init__(self, service: "Service", has_zero: HasZero) -> None:
        self._service = service
        self._has_zero = has_zero

    def answer(self, message: bytes) -> bytes:
        """Answer with the state of the requested version, or of all versions. Raises `ScalezeroError`."""
        target = grpc_models.status_request(message, self._has_zero)
        served = self._service.model(target.name, target.version)
        described = self._service.models[target.name] if target.version is None else [served]
        return grpc_models.status((each.version, version_status(each.state.value, each.error)) for each in described)
