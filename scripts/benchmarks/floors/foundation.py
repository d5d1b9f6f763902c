"""The shared code of the floors outside the hot path. On the hot path they share none, to avoid every extra call."""

from collections.abc import Awaitable, Callable
from typing import Any

import onnxruntime as ort

Message = dict[str, Any]  # ASGI's
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def open_session(model: str) -> ort.InferenceSession:
    """Open the model file with one thread, for one core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
