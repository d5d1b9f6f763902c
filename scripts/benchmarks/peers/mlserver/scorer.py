"""MLServer: a custom runtime in the process of the server (parallel_workers 0, which is faster on one core)."""

# mypy: disable-error-code="import-not-found,misc"
import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from scripts.benchmarks.floors.foundation import open_session


class Scorer(MLModel):
    """The Open Inference Protocol's tensors, in and out."""

    async def load(self) -> bool:
        """Open the session."""
        self.session = open_session(os.environ["MODEL"])
        self.input_name = self.session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Score a batch, which MLServer joins along the first axis."""
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype("float32", copy=False)
        scores = self.session.run(None, {self.input_name: rows})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("scores", scores)])
