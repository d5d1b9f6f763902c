"""The handlers of TensorFlow Serving's REST API, and the union of its answers with KServe V1's.

Both protocols claim `/v1/models/{model}` and `:predict`. Where both are served, one answer satisfies the clients of
both: a status document of TensorFlow Serving that has KServe's "name" and "ready" too, and "predictions", which both
read. What only KServe answers (the list of models, `:explain`) is then answered as well.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import orjson

from runtime import versions
from runtime.errors import RefusedInput, UnknownModel
from runtime.frontends.endpoints import Direct, Slow
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
_EXAMPLES: Final = 8 * 1024  # bytes of a body of examples: each feature becomes an array
_ORIGINS: Final = (b"http://", b"https://")


def handlers(context: "Context") -> dict[str, Direct | Slow | Inference]:
    """What answers below /v1/models."""
    service, edge = context.service, context.edge
    about = _About(service, union=_KSERVE in context.protocols)
    return {
        "predict": Inference(service, rest.Predict(), edge),
        "classify": Inference(service, rest.Classify(), edge, at_once=_EXAMPLES),
        "regress": Inference(service, rest.Regress(), edge, at_once=_EXAMPLES),
        "models": Direct(about.models, edge),
        "status": Direct(about.status, edge),
        "metadata": Slow(about.metadata),
        "explain": Direct(about.explain, edge),
        "preflight": Direct(_preflight, edge),
    }


class _About:
    """What is answered about models. `union`: KServe's clients are answered as well."""

    def __init__(self, service: "Service", *, union: bool) -> None:
        self._service = service
        self._union = union

    def models(self, _: Request) -> Answer:
        """The names of the models, which only KServe's clients ask for."""
        if not self._union:
            raise RefusedInput("Missing model name in request.")
        return _json({"models": list(self._service.models)})

    def status(self, request: Request) -> Answer:
        """The state of a version, or of all versions; a label changes nothing. Raises `RefusedInput`."""
        model, number = rest.target(request)
        try:
            served = self._service.model(model, number)
        except UnknownModel:
            return no_status(model, number)
        asked = self._service.models[model] if number is None else [served]
        document: dict[str, object] = {"model_version_status": [_state(each) for each in asked]}
        if self._union and number is None:
            document |= {"name": model, "ready": is_ready(served)}
        return _json(document)

    async def metadata(self, request: Request) -> Answer:
        """The signature of a model; loads the model. Raises `RefusedInput`, `UnknownModel` and `ModelUnavailable`."""
        call = rest.called(request, None)
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
        """Refuse to explain, as a model without an explainer does. Raises `RefusedInput` and `UnknownModel`."""
        if not self._union:
            raise RefusedInput(f"Malformed request: {request.method} {request.path}")
        served = self._service.model(rest.target(request)[0])
        return no_explainer(served.name)


def _number(served: ServedModel) -> int:
    """The number of a version; 0 where that is not known before the model is loaded."""
    return 0 if served.version is None else versions.number(served.version)


def _state(served: ServedModel) -> dict[str, object]:
    told = version_status(served.state.value, served.error)
    status = {"error_code": told.code, "error_message": told.message}
    return {"version": str(_number(served)), "state": told.state, "status": status}


def _preflight(request: Request) -> Answer:
    """The answer to OPTIONS, without cross-origin headers, as by default. Raises `RefusedInput`."""
    if (request.header(b"origin") or b"").startswith(_ORIGINS):
        return _json({})
    raise RefusedInput("Origin header is missing in CORS preflight")


def _json(document: object) -> Answer:
    return Answer(HTTPStatus.OK, orjson.dumps(document))
