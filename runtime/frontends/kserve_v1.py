"""The handlers of KServe's V1 protocol. If TensorFlow Serving's API is served too, it answers below /v1/models."""

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from runtime.frontends.endpoints import SyncEndpoint
from runtime.frontends.events.kserve import WithEvents
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Request
from runtime.protocols.kserve_v1 import KServeV1
from runtime.served_model import ServedModel, State

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, SyncEndpoint | WithEvents]:
    """Return the handlers of the routes below /v1/models, and of /."""
    service, edge = context.service, context.edge
    endpoints = _ModelEndpoints(service)
    return {
        "alive": SyncEndpoint(_alive, edge),
        "models": SyncEndpoint(endpoints.models, edge),
        "model": SyncEndpoint(endpoints.model, edge),
        "predict": WithEvents(Inference(service, KServeV1(), edge)),
        "explain": SyncEndpoint(endpoints.explain, edge),
    }


class _ModelEndpoints:
    """The endpoints about models."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def models(self, _: Request) -> Answer:
        """Answer with the names of the models."""
        return _json({"models": list(self._service.models)})

    def model(self, request: Request) -> Answer:
        """Answer whether the model is ready; 503 if it is not. Raises `UnknownModel`."""
        served = self._service.model(request.parameters["model"])
        if not is_ready(served):
            return _json({"error": f"Model with name {served.name} is not ready."}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"name": served.name, "ready": True})

    def explain(self, request: Request) -> Answer:
        """Refuse the request, as KServe does for a model without an explainer. Raises `UnknownModel`."""
        return no_explainer(self._service.model(request.parameters["model"]).name)


def is_ready(served: ServedModel) -> bool:
    """Return whether clients may send requests. This includes a lazy model, which its first request loads."""
    return served.state in {State.READY, State.NOT_LOADED}


def no_explainer(model: str) -> Answer:
    """Return the response to a request for an explanation."""
    text = f"model {model!r} has no explainer; POST to /v1/models/{model}:predict for predictions"
    return _json({"error": text}, HTTPStatus.NOT_IMPLEMENTED)


def _alive(_: Request) -> Answer:
    return _json({"status": "alive"})


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
