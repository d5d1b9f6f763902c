"""The handlers of KServe's V1 protocol. Where TensorFlow Serving's is served too, that one answers below /v1/models."""

from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from runtime.frontends.endpoints import Direct
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Request
from runtime.protocols.kserve_v1 import KServeV1
from runtime.served_model import ServedModel, State

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, Direct | Inference]:
    """What answers below /v1/models, and at /."""
    service, edge = context.service, context.edge
    about = _About(service)
    return {
        "alive": Direct(_alive, edge),
        "models": Direct(about.models, edge),
        "model": Direct(about.model, edge),
        "predict": Inference(service, KServeV1(), edge),
        "explain": Direct(about.explain, edge),
    }


class _About:
    """What is answered about models."""

    def __init__(self, service: "Service") -> None:
        self._service = service

    def models(self, _: Request) -> Answer:
        """The names of the models."""
        return _json({"models": list(self._service.models)})

    def model(self, request: Request) -> Answer:
        """Whether the model answers; 503 where it does not. Raises `UnknownModel`."""
        served = self._service.model(request.parameters["model"])
        if not is_ready(served):
            return _json({"error": f"Model with name {served.name} is not ready."}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"name": served.name, "ready": True})

    def explain(self, request: Request) -> Answer:
        """Refuse to explain, as a model without an explainer does. Raises `UnknownModel`."""
        return no_explainer(self._service.model(request.parameters["model"]).name)


def is_ready(served: ServedModel) -> bool:
    """Whether a client may send requests: one that is loaded by its first request has to get one."""
    return served.state in {State.READY, State.NOT_LOADED}


def no_explainer(model: str) -> Answer:
    """The answer to who wants a prediction explained."""
    text = f"model {model!r} has no explainer; POST to /v1/models/{model}:predict for predictions"
    return _json({"error": text}, HTTPStatus.NOT_IMPLEMENTED)


def _alive(_: Request) -> Answer:
    return _json({"status": "alive"})


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
