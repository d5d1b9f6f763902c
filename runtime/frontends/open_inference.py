"""The routes of the Open Inference Protocol over REST, and what it answers about the server and its models."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson

from runtime.frontends.endpoints import Direct, Endpoints, Slow
from runtime.frontends.inference import Inference
from runtime.frontends.routes import Owner, Route
from runtime.http.messages import Answer, Request
from runtime.protocols import open_inference_binary as binary
from runtime.protocols.open_inference import OpenInference, refuse
from runtime.tensors import TensorSpec

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.service import Service

OPEN_INFERENCE: Final = Owner("open_inference", ("/v2",), refuse)
_MODEL: Final = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")


def routes(service: "Service", endpoints: Endpoints, edge: "Edge") -> list[Route]:
    """All routes below /v2."""
    about = _About(service, endpoints)
    infer = Inference(service, OpenInference(), edge)
    found = [
        Route("/v2", "GET", OPEN_INFERENCE, Direct(about.server, edge)),
        Route("/v2/health/live", "GET", OPEN_INFERENCE, Direct(about.live, edge)),
        Route("/v2/health/ready", "GET", OPEN_INFERENCE, Direct(about.ready, edge)),
    ]
    for model in _MODEL:
        found += [
            Route(model, "GET", OPEN_INFERENCE, Slow(about.model)),
            Route(f"{model}/ready", "GET", OPEN_INFERENCE, Direct(about.model_ready, edge)),
            Route(f"{model}/infer", "POST", OPEN_INFERENCE, infer),
        ]
    return found


class _About:
    """Health and metadata."""

    def __init__(self, service: "Service", endpoints: Endpoints) -> None:
        self._service = service
        self._endpoints = endpoints

    def server(self, _: Request) -> Answer:
        """The server's metadata."""
        from importlib.metadata import version

        return _json({"name": "scalezero", "version": version("scalezero"), "extensions": ["binary_tensor_data"]})

    def live(self, request: Request) -> Answer:
        """Whether the process is live, by the same rule as /healthz/live."""
        status = self._endpoints.live(request).status
        return _json({"live": status == HTTPStatus.OK}, status)

    def ready(self, request: Request) -> Answer:
        """Whether traffic may come, by the same rule as /healthz/ready."""
        status = self._endpoints.ready(request).status
        return _json({"ready": status == HTTPStatus.OK}, status)

    def model_ready(self, request: Request) -> Answer:
        """Whether the model answers. Raises `UnknownModel`."""
        parameters = request.parameters
        served = self._service.model(parameters["model"], parameters.get("version"))
        status = HTTPStatus.OK if served.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json({"name": served.name, "ready": served.ready is not None}, status)

    async def model(self, request: Request) -> Answer:
        """The model's metadata; loads the model. Raises `UnknownModel` and `ModelUnavailable`."""
        parameters = request.parameters
        served = self._service.model(parameters["model"], parameters.get("version"))
        ready = served.ready or await served.load()
        document = {"name": ready.name, "versions": [ready.version], "platform": "onnxruntime_onnx"}
        tensors = {"inputs": ready.signature.inputs, "outputs": ready.signature.outputs}
        return _json({**document, **{key: [*map(_tensor, specs)] for key, specs in tensors.items()}})


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """A dynamic axis has the size -1; so has the one axis of a tensor whose rank is unknown."""
    sizes = [-1] if spec.shape is None else [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": binary.datatype(spec) or spec.datatype, "shape": sizes}


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
