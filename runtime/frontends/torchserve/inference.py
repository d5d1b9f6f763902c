"""The handlers of TorchServe's inference API over REST."""

from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn

import orjson

from runtime.errors import UnsupportedOperation
from runtime.frontends.endpoints import AsyncEndpoint, Endpoints, SyncEndpoint
from runtime.frontends.inference import Inference
from runtime.http.messages import JSON, Answer, Request
from runtime.protocols.torchserve.faults import headers
from runtime.protocols.torchserve.inference import NAME, Invocations, Predictions

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, SyncEndpoint | AsyncEndpoint | Inference]:
    """Return the handlers of the routes below /predictions and /explanations, and of the generic paths."""
    service, edge = context.service, context.edge
    endpoints = _Endpoints(service, context.endpoints)
    return {
        "predict": Inference(service, Predictions(), edge),
        "invoke": Inference(service, Invocations(lambda: [*service.models], lambda: service.main), edge),
        "explain": SyncEndpoint(endpoints.explain, edge),
        "describe": AsyncEndpoint(endpoints.describe),
        "ping": SyncEndpoint(endpoints.ping, edge),
    }


class _Endpoints:
    """The endpoints besides inference."""

    def __init__(self, service: "Service", endpoints: Endpoints) -> None:
        self._service = service
        self._endpoints = endpoints

    def ping(self, _: Request) -> Answer:
        """Answer whether the process is ready, by the same rule as /healthz/ready; 500 if it is not."""
        healthy = self._endpoints.is_ready()
        document = {"status": "Healthy" if healthy else "Unhealthy"}
        status = HTTPStatus.OK if healthy else HTTPStatus.INTERNAL_SERVER_ERROR
        return Answer(status, orjson.dumps(document), [JSON, *headers()])

    async def describe(self, request: Request) -> Answer:
        """Answer with the OpenAPI document. Raises `UnknownModel` if the path names an unknown model."""
        name = request.parameters.get("model")
        if name is not None:
            self._service.model(name, request.parameters.get("version"))
        answer = await self._endpoints.openapi(request)
        answer.headers += headers()
        return answer

    def explain(self, request: Request) -> NoReturn:
        """Refuse the request: an ONNX model has no explainer. Raises `UnknownModel` and `UnsupportedOperation`."""
        parameters = request.parameters
        served = self._service.model(parameters["model"], parameters.get("version"))
        fault = UnsupportedOperation(f"an explanation by model {served.name!r}", "an ONNX model has no explainer")
        served.measurements.record_request(NAME, fault.code, perf_counter() - request.started)
        raise fault
