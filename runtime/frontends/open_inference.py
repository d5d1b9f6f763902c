"""The handlers of the Open Inference Protocol over REST, and what it answers about the server and its models."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from runtime.frontends.endpoints import Direct, Endpoints, Slow
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Request
from runtime.protocols.open_inference import datatypes
from runtime.protocols.open_inference.rest import OpenInference
from runtime.tensors import TensorSpec

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, Direct | Slow | Inference]:
    """What answers below /v2."""
    service, edge = context.service, context.edge
    about = _About(service, context.endpoints)
    return {
        "server": Direct(about.server, edge),
        "live": Direct(about.live, edge),
        "ready": Direct(about.ready, edge),
        "model": Slow(about.model),
        "model_ready": Direct(about.model_ready, edge),
        "infer": Inference(service, OpenInference(), edge),
    }


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
        versions = self._service.models.versions(served.name)
        document = {"name": ready.name, "versions": versions, "platform": "onnxruntime_onnx"}
        tensors = {"inputs": ready.signature.inputs, "outputs": ready.signature.outputs}
        return _json({**document, **{key: [*map(_tensor, specs)] for key, specs in tensors.items()}})


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """A dynamic axis has the size -1; so has the one axis of a tensor whose rank is unknown."""
    sizes = [-1] if spec.shape is None else [size if isinstance(size, int) else -1 for size in spec.shape]
    return {"name": spec.name, "datatype": datatypes.datatype(spec) or spec.datatype, "shape": sizes}


def _json(document: object, status: int = HTTPStatus.OK) -> Answer:
    return Answer(status, orjson.dumps(document))
