"""KServe: its Python server, in one process, without batches: KServe's batcher is a separate program."""

# mypy: disable-error-code="import-not-found,misc"
import os

from kserve import InferRequest, InferResponse, Model, ModelServer
from kserve.utils.utils import get_predict_response

from scripts.benchmarks.floors.foundation import open_session


class Scorer(Model):
    """The Open Inference Protocol's tensors, in and out."""

    def load(self) -> bool:
        """Open the session."""
        self.session = open_session(os.environ["MODEL"])
        self.input_name = self.session.get_inputs()[0].name
        self.ready = True
        return True

    def predict(self, payload: InferRequest, headers: object = None) -> InferResponse:  # noqa: ARG002 - KServe's signature
        """Score the rows of one request."""
        scores = self.session.run(None, {self.input_name: payload.inputs[0].as_numpy()})[0]
        return get_predict_response(payload, scores, self.name)


if __name__ == "__main__":
    scorer = Scorer("model")
    scorer.load()
    ModelServer().start([scorer])
