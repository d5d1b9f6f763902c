"""TorchServe's inference API over REST: `/predictions/{model}[/{version}]` and its older paths."""

from collections.abc import Callable, Generator, Sequence
from typing import Final
from urllib.parse import parse_qs

from runtime.errors import InvalidInput
from runtime.http.messages import JSON, Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.torchserve import answers, binding, forms, values
from runtime.protocols.torchserve.faults import headers
from runtime.protocols.torchserve.steps import at_once
from runtime.tensors import Call, Prediction, Query

NAME: Final = "torchserve"
_MOST: Final = 64  # parameters of a query that are read
_LISTED: Final = 20  # names that an error lists


class Predictions:
    """The translator of the paths that name their model."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `InvalidInput`, and `PayloadTooLarge` for a form of too many parts."""
        return at_once(self.decode_slices(request))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises as `decode` does."""
        found = yield from forms.parts(request)
        read: list[tuple[str, values.Value]] = []
        for part in found:
            value = yield from values.read(part)
            read.append((part.name, value))
        return Call(self._model(request), request.parameters.get("version"), read)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput`."""
        return [binding.bind(call.parts, model.signature)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, in pieces where it is large; the protocol has no place for `latency`."""
        del latency
        return Answer(200, answers.encode(queries[0], predictions[0], model.signature), [JSON, *headers()])

    def _model(self, request: Request) -> str:
        return request.parameters["model"]


class Invocations(Predictions):
    """The translator of `/invocations`, which names its model in the query, or leaves it out where there is one."""

    def __init__(self, served: Callable[[], Sequence[str]]) -> None:
        """`served` lists the names of the models."""
        self._served = served

    def _model(self, request: Request) -> str:
        names = self._served()
        asked = _parameters(request).get("model_name") or names
        if len(asked) == 1:
            return asked[0]
        expected = f"a parameter of the query, once: one of {', '.join(names[:_LISTED])}"
        raise InvalidInput(
            "model_name", got=f"{len(asked)} names" if asked is not names else "nothing", expected=expected
        )


def _parameters(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=_MOST)
    except ValueError:
        raise InvalidInput("query", got=f"more than {_MOST} parameters", expected="model_name alone") from None
