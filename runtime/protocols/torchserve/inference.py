"""TorchServe's inference API over REST: `/predictions/{model}[/{version}]` and the older paths."""

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
_MAX_PARAMETERS: Final = 64  # of a query
_SHOWN_NAMES: Final = 20  # in an error message


class Predictions:
    """The translator of the paths with a model name."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `InvalidInput`, and `PayloadTooLarge` for a form of too many parts."""
        return at_once(self.decode_slices(request))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises as `decode` does."""
        found = yield from forms.parts(request)
        read: list[tuple[str, values.Value]] = []
        for part in found:
            value = yield from values.read(part)
            read.append((part.name, value))
        return Call(self._model(request), request.parameters.get("version"), read)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query. Raises `InvalidInput`."""
        return [binding.bind(call.parts, model.signature)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the answer, in pieces if it is large; the protocol has no field for `latency`."""
        del latency
        return Answer(200, answers.encode(queries[0], predictions[0], model.signature), [JSON, *headers()])

    def _model(self, request: Request) -> str:
        return request.parameters["model"]


class Invocations(Predictions):
    """The translator of `/invocations`. The query names the model; it may omit the name of the main or only model."""

    def __init__(self, served: Callable[[], Sequence[str]], main: Callable[[], str | None]) -> None:
        """`served` returns the names of the models, `main` that of the main or only model."""
        self._served = served
        self._main = main

    def _model(self, request: Request) -> str:
        names, main = self._served(), self._main()
        requested = _parameters(request).get("model_name") or (names if main is None else [main])
        if len(requested) == 1:
            return requested[0]
        got = f"{len(requested)} names" if requested is not names else "nothing"
        expected = f"one name in the query, model_name=NAME: one of {', '.join(names[:_SHOWN_NAMES])}"
        raise InvalidInput("model_name", got=got, expected=expected)


def _parameters(request: Request) -> dict[str, list[str]]:
    try:
        return parse_qs(request.query.decode("latin-1"), max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        got = f"more than {_MAX_PARAMETERS} parameters"
        raise InvalidInput("query", got=got, expected="only model_name") from None
