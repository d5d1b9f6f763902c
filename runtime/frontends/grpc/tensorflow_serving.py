"""The methods of TensorFlow Serving's PredictionService and ModelService."""

from typing import TYPE_CHECKING

from runtime import versions
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import Endpoint, Inferred, compress, deadline
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


def handlers(context: "Context") -> "dict[str, Inferred | Endpoint | Metadata]":
    """The methods of both services."""
    service, edge = context.service, context.edge
    limit = service.settings.max_body_bytes
    has_zero = _zero(service)
    return {
        "Predict": Inferred(service, Predict(has_zero, limit=limit), edge, views=True),
        "Classify": Inferred(service, Classify(has_zero), edge, views=True),
        "Regress": Inferred(service, Regress(has_zero), edge, views=True),
        "MultiInference": Inferred(service, MultiInference(has_zero), edge, views=True),
        "GetModelMetadata": Metadata(service, edge, has_zero),
        "GetModelStatus": Endpoint(_Status(service, has_zero).answer, edge),
        "HandleReloadConfigRequest": Endpoint(grpc_models.reload_config, edge),
    }


def _zero(service: "Service") -> HasZero:
    """Whether a model has a version 0."""
    return lambda name: versions.numbered(service.models.versions(name), 0) is not None


class Metadata:
    """The handler of GetModelMetadata, which needs the model loaded."""

    def __init__(self, service: "Service", edge: "Edge", has_zero: HasZero) -> None:
        self._service = service
        self._edge = edge
        self._has_zero = has_zero

    def direct(self, exchange: "Exchange") -> bool:
        """Answer now, where the message is not compressed and the model is loaded. Raises `ScalezeroError`."""
        request = exchange.request
        if framing.compressed(request):
            return False
        asked = grpc_models.metadata_request(framing.small_message(request), self._has_zero)
        ready = self._service.model(asked.name, asked.version).ready
        if ready is None:
            return False
        self._edge.reply(exchange, framing.answer(grpc_models.metadata(ready.name, ready.version, ready.signature)))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine, once the model is loaded. Raises `ScalezeroError`."""
        message = await content.in_turns(framing.inflated_message(request, framing.SMALL))
        asked = grpc_models.metadata_request(message, self._has_zero)
        ready = await load(self._service.model(asked.name, asked.version), deadline=deadline(request))
        self._service.model(asked.name, asked.version)  # now that the version is known
        described = grpc_models.metadata(ready.name, ready.version, ready.signature)
        return await compress(request, framing.answer(described))


class _Status:
    """GetModelStatus, which loads nothing."""

    def __init__(self, service: "Service", has_zero: HasZero) -> None:
        self._service = service
        self._has_zero = has_zero

    def answer(self, message: bytes) -> bytes:
        """Tell the state of the version asked, or of every one. Raises `ScalezeroError`."""
        asked = grpc_models.status_request(message, self._has_zero)
        served = self._service.model(asked.name, asked.version)
        every = self._service.models[asked.name] if asked.version is None else [served]
        return grpc_models.status((each.version, version_status(each.state.value, each.error)) for each in every)
