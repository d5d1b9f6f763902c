"""PyTriton: Triton sends batches to this process over shared memory; an incomplete batch waits the delay."""

# mypy: disable-error-code="import-not-found,misc,untyped-decorator"
import os
import signal
import sys

import numpy as np
import numpy.typing as npt
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from scripts.benchmarks.floors.foundation import open_session

session = open_session(os.environ["MODEL"])
(source,) = session.get_inputs()
scores = session.get_outputs()[0]


@batch
def infer(inputs: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Score a batch, which Triton makes along the first axis."""
    return {"scores": session.run([scores.name], {source.name: inputs})[0]}


signal.signal(signal.SIGTERM, signal.default_int_handler)  # only after SIGINT does it clean up
config = TritonConfig(http_address="127.0.0.1", http_port=int(sys.argv[1]), allow_grpc=False, allow_metrics=False)
with Triton(config=config) as triton:
    triton.bind(
        model_name="model",
        infer_func=infer,
        inputs=[Tensor(name="inputs", dtype=np.float32, shape=tuple(source.shape[1:]))],
        outputs=[Tensor(name="scores", dtype=np.float32, shape=tuple(scores.shape[1:]))],
        config=ModelConfig(
            max_batch_size=int(os.environ["MAX_BATCH"]),
            batcher=DynamicBatcher(max_queue_delay_microseconds=int(os.environ["MAX_WAIT_MS"]) * 1000),
        ),
    )
    triton.serve()
