"""The route and the owner of the predict API."""

from typing import TYPE_CHECKING

from runtime.frontends.inference import Inference
from runtime.frontends.routes import Owner, Route
from runtime.protocols.predict import PredictApi
from runtime.protocols.refusals import error_answer

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.service import Service

PREDICT_API = Owner("predict", ("/api/v1/models",), error_answer)


def routes(service: "Service", edge: "Edge") -> list[Route]:
    """Return the route `POST /api/v1/models/{model}/predict`."""
    handler = Inference(service, PredictApi(), edge)
    return [Route("/api/v1/models/{model}/predict", "POST", PREDICT_API, handler)]
