"""The methods of TensorFlow Serving's PredictionService and ModelService."""

from typing import TYPE_CHECKING

from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import Endpoint, Inferred, compress, deadline
from runtime.frontends.inference import load
from runtime.http.messages import Answer, Request
from runtime.protocols.tensorflow_serving import grpc_models
from runtime.protocols.tensorflow_serving.grpc_examples import Classify, MultiInference, Regress
from runtime.protocols.tensorflow_serving.grpc_predict import Predict
from runtime.protocols.tensorflow_serving.messages import Versions
from runtime.protocols.tensorflow_serving.model_status import version_status
from runtime.protocols.tensorflow_serving.version_numbers import number_of

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.frontends.mounting import Context
    from runtime.http.exchange import Exchange
    from runtime.service import Service


def handlers(context: "Context") -> "dict[str, Inferred | Endpoint | Metadata]":
    """The methods of both services."""
    service, edge = context.service, context.edge
    limit = service.settings.max_body_bytes
    versions = versions_of(service)
    return {
        "Predict": Inferred(service, Predict(versions, limit=limit), edge),
        "Classify": Inferred(service, Classify(versions), edge),
        "Regress": Inferred(service, Regress(versions), edge),
        "MultiInference": Inferred(service, MultiInference(versions), edge),
        "GetModelMetadata": Metadata(service, edge, versions),
        "GetModelStatus": Endpoint(_Status(service, versions).answer, edge, limit),
        "HandleReloadConfigRequest": Endpoint(grpc_models.reload_config, edge, limit),
    }


def versions_of(service: "Service") -> Versions:
    """What finds a version by TensorFlow's number.

    ovmsclient sends version 0 where its user gives none: that is the default version, unless there is a version 0.
    """

    def find(name: str, number: int) -> str | None:
        served = service.models.get(name)
        version = served.version if served else None
        if version is not None and number_of(version) == number:
            return version
        return None if number == 0 else str(number)

    return find


class Metadata:
    """The handler of GetModelMetadata, which needs the model loaded."""

    def __init__(self, service: "Service", edge: "Edge", versions: Versions) -> None:
        self._service = service
        self._edge = edge
        self._versions = versions

    def direct(self, exchange: "Exchange") -> bool:
        """Answer now, where the message is not compressed and the model is loaded. Raises `ScalezeroError`."""
        request = exchange.request
        if framing.compressed(request):
            return False
        asked = grpc_models.metadata_request(framing.message(request), self._versions)
        ready = self._service.model(asked.name, asked.version).ready
        if ready is None:
            return False
        self._edge.reply(exchange, framing.answer(grpc_models.metadata(ready.name, ready.version, ready.signature)))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine, once the model is loaded. Raises `ScalezeroError`."""
        limit = self._service.settings.max_body_bytes
        message = await content.in_turns(framing.inflated_message(request, limit))
        asked = grpc_models.metadata_request(message, self._versions)
        ready = await load(self._service.model(asked.name, asked.version), deadline=deadline(request))
        described = grpc_models.metadata(ready.name, ready.version, ready.signature)
        return await compress(request, framing.answer(described))


class _Status:
    """GetModelStatus, which loads nothing."""

    def __init__(self, service: "Service", versions: Versions) -> None:
        self._service = service
        self._versions = versions

    def answer(self, message: bytes) -> bytes:
        """Tell the state of the version asked, or of every one. Raises `ScalezeroError`."""
        asked = grpc_models.status_request(message, self._versions)
        served = self._service.model(asked.name, asked.version)
        return grpc_models.status([(served.version or "", version_status(served.state.value, served.error))])
