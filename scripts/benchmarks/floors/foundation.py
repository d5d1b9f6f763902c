"""What the floors share off the hot path. On it they share nothing: a floor pays for no call that it could spare."""

from collections.abc import Awaitable, Callable
from typing import Any

import onnxruntime as ort

Message = dict[str, Any]  # ASGI's
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def open_session(model: str) -> ort.InferenceSession:
    """Open the model file with one thread, as one core gives."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
