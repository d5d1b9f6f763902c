"""The handlers of TorchServe's inference API over REST."""

from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, NoReturn

import orjson

from runtime.errors import UnsupportedOperation
from runtime.frontends.endpoints import Direct, Endpoints, Slow
from runtime.frontends.inference import Inference
from runtime.http.messages import JSON, Answer, Request
from runtime.protocols.torchserve.faults import headers
from runtime.protocols.torchserve.inference import NAME, Invocations, Predictions

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, Direct | Slow | Inference]:
    """What answers below /predictions and /explanations, and on the generic paths."""
    service, edge = context.service, context.edge
    about = _About(service, context.endpoints)
    return {
        "predict": Inference(service, Predictions(), edge),
        "invoke": Inference(service, Invocations(lambda: [*service.models]), edge),
        "explain": Direct(about.explain, edge),
        "describe": Slow(about.describe),
        "ping": Direct(about.ping, edge),
    }


class _About:
    """All that is not an inference."""

    def __init__(self, service: "Service", endpoints: Endpoints) -> None:
        self._service = service
        self._endpoints = endpoints

    def ping(self, _: Request) -> Answer:
        """Whether traffic may come, by the same rule as /healthz/ready; 500 where it may not."""
        healthy = self._endpoints.takes_traffic()
        document = {"status": "Healthy" if healthy else "Unhealthy"}
        status = HTTPStatus.OK if healthy else HTTPStatus.INTERNAL_SERVER_ERROR
        return Answer(status, orjson.dumps(document), [JSON, *headers()])

    async def describe(self, request: Request) -> Answer:
        """The OpenAPI document. Raises `UnknownModel` where the path names a model that is not here."""
        name = request.parameters.get("model")
        if name is not None:
            self._service.model(name, request.parameters.get("version"))
        answer = await self._endpoints.openapi(request)
        answer.headers += headers()
        return answer

    def explain(self, request: Request) -> NoReturn:
        """Refuse, as a model without an explainer. Raises `UnknownModel` and `UnsupportedOperation`."""
        parameters = request.parameters
        served = self._service.model(parameters["model"], parameters.get("version"))
        fault = UnsupportedOperation(f"an explanation by model {served.name!r}", "an ONNX model has no explainer")
        served.measurements.answered(NAME, fault.code, perf_counter() - request.started)
        raise fault
