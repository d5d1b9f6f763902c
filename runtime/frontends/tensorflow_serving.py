"""The handlers of TensorFlow Serving's REST API, which also answer for KServe V1 if both are served.

Both protocols have `/v1/models/{model}` and `:predict`. If both are served, one response is valid for the clients of
both: TensorFlow Serving's status document also has KServe's "name" and "ready", and both read "predictions". The routes
that only KServe has (the list of models, `:explain`) are then answered as well.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson

from runtime import versions
from runtime.errors import RefusedInput, UnknownModel
from runtime.frontends.endpoints import AsyncEndpoint, SyncEndpoint
from runtime.frontends.events.kserve import WithEvents
from runtime.frontends.inference import Inference
from runtime.frontends.kserve_v1 import is_ready, no_explainer
from runtime.http.messages import Answer, Request
from runtime.protocols.tensorflow_serving import rest, signature
from runtime.protocols.tensorflow_serving.model_status import version_status
from runtime.protocols.tensorflow_serving.refusals import no_status
from runtime.served_model import ServedModel

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service

_KSERVE: Final = "kserve_v1"
_EXAMPLES: Final = 8 * 1024  # bytes of a body of examples that are decoded at once; each feature becomes an array
_ORIGINS: Final = (b"http://", b"https://")


def handlers(context: "Context") -> dict[str, SyncEndpoint | AsyncEndpoint | Inference | WithEvents]:
    """Return the handlers of the routes below /v1/models."""
    service, edge = context.service, context.edge
    kserve = _KSERVE in context.protocols
    endpoints = _ModelEndpoints(service, kserve=kserve)
    predict = Inference(service, rest.Predict(), edge)
    return {
        "predict": WithEvents(predict) if kserve else predict,
        "classify": Inference(service, rest.Classify(), edge, inline_limit=_EXAMPLES),
        "regress": Inference(service, rest.Regress(), edge, inline_limit=_EXAMPLES),
        "models": SyncEndpoint(endpoints.models, edge),
        "status": SyncEndpoint(endpoints.status, edge),
        "metadata": AsyncEndpoint(endpoints.metadata),
        "explain": SyncEndpoint(endpoints.explain, edge),
        "preflight": SyncEndpoint(_preflight, edge),
    }


class _ModelEndpoints:
    """The endpoints about models. `kserve`: KServe V1 is served too."""

    def __init__(self, service: "Service", *, kserve: bool) -> None:
        self._service = service
        self._kserve = kserve

    def models(self, _: Request) -> Answer:
        """Answer with the names of the models, which is a route of KServe. Raises `RefusedInput` without KServe."""
        if not self._kserve:
            raise RefusedInput("Missing model name in request.")
        return _json({"models": list(self._service.models)})

    def status(self, request: Request) -> Answer:
        """Answer with the state of a version, or of all versions; a label is ignored. Raises `RefusedInput`."""
        model, number = rest.target(request)
        try:
            served = self._service.model(model, number)
        except UnknownModel:
            return no_status(model, number)
        described = self._service.models[model] if number is None else [served]
        document: dict[str, object] = {"model_version_status": [_state(each) for each in described]}
        if self._kserve and number is None:
            document |= {"name": model, "ready": is_ready(served)}
        return _json(document)

    async def metadata(self, request: Request) -> Answer:
        """Load the model if needed, and answer with its signature.

        Raises `RefusedInput`, `UnknownModel` and `ModelUnavailable`.
        """
        call = rest.call_for(request, None)
        served = self._service.model(call.model, call.version)
        ready = served.ready or await served.load()
        found = signature.signature_def(ready.signature.inputs, ready.signature.outputs)
        version = str(_number(served))
        return _json(
            {
                "model_spec": {"name": served.name, "signature_name": "", "version": version},
                "metadata": {"signature_def": {"signature_def": {signature.DEFAULT: found}}},
            }
        )

    def explain(self, request: Request) -> Answer:
        """Refuse the request, as KServe without an explainer does. Raises `RefusedInput` and `UnknownModel`."""
        if not self._kserve:
            raise RefusedInput(f"Malformed request: {request.method} {request.path}")
        served = self._service.model(rest.target(request)[0])
        return no_explainer(served.name)


def _number(served: ServedModel) -> int:
    """Return the number of a version; 0 if it is unknown until the model is loaded."""
    return 0 if served.version is None else versions.number(served.version)


def _state(served: ServedModel) -> dict[str, object]:
    status = version_status(served.state.value, served.error)
    error = {"error_code": status.code, "error_message": status.message}
    return {"version": str(_number(served)), "state": status.state, "status": error}


def _preflight(request: Request) -> Answer:
    """Answer OPTIONS without cross-origin headers, which is TensorFlow Serving's default. Raises `RefusedInput`."""
    if (request.header(b"origin") or b"").startswith(_ORIGINS):
        return _json({})
    raise RefusedInput("Origin header is missing in CORS preflight")


def _json(document: object) -> Answer:
    return Answer(HTTPStatus.OK, orjson.dumps(document))
