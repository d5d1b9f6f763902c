"""What the log keeps: answered predictions of the sample, up to its limits; everything else is dropped and counted."""

import numpy as np

from runtime.prediction_log.encoding import Encoder, Facts
from runtime.prediction_log.log import PredictionLog, Queue
from runtime.tensors import TensorSpec
from tests.runtime.prediction_log.predictions import outcome, ready
from tests.runtime.prediction_log.test_document import Unused

FACTS = Facts("t", None, None, {})


def log_of(queue: Queue, *, share: float = 1.0, most: int = 10_000) -> PredictionLog:
    return PredictionLog(queue, Encoder(FACTS, most=most), Unused(), share=share, most=most)


def test_only_answered_predictions_are_kept() -> None:
    queue = Queue(10)
    log = log_of(queue)
    log.offer(outcome(code="queue_full"))
    log.offer(outcome()._replace(ready=None))
    log.offer(outcome())
    assert (len(queue), log.counts.dropped) == (1, 0)


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    queue = Queue(2)
    log = log_of(queue)
    for number in range(5):
        log.offer(outcome(number))
    assert log.counts.dropped == 3
    assert [queue.take().inputs[0][0, 0] for _ in range(2)] == [0, 1]  # type: ignore[call-overload] # an array
    log.offer(outcome(7))
    assert (len(queue), log.counts.dropped) == (1, 3)


def test_the_bytes_of_the_queue_are_bounded() -> None:
    spec = TensorSpec("x", np.dtype(np.float32), (None, 1000))
    queue = Queue(1000, limit_bytes=20_000)
    log = log_of(queue)
    for _ in range(100):
        log.offer(outcome(model=ready(inputs=(spec,)), inputs=[np.zeros((1, 1000), np.float32)]))
    assert len(queue) == 5
    assert log.counts.dropped == 95


def test_large_tensors_take_no_memory_in_the_queue() -> None:
    spec = TensorSpec("x", np.dtype(np.float32), (None, 1_000_000))
    queue = Queue(1000, limit_bytes=20_000)
    log = log_of(queue)
    for _ in range(100):
        log.offer(outcome(model=ready(inputs=(spec,)), inputs=[np.zeros((1, 1_000_000), np.float32)]))
    assert (len(queue), log.counts.dropped) == (100, 0)


def test_requests_that_are_not_in_the_sample_are_neither_kept_nor_dropped() -> None:
    queue = Queue(10)
    log = log_of(queue, share=0.5)
    for number in range(100):
        log.offer(outcome(request_id=str(number)))
    again = Queue(1000)
    other = log_of(again, share=0.5)
    for number in range(100):
        other.offer(outcome(request_id=str(number)))
    assert 20 < len(again) < 80
    assert len(queue) + log.counts.dropped == len(again)


def test_models_with_equal_names_have_their_own_names_of_tensors() -> None:
    queue = Queue(10)
    encoder = Encoder(FACTS, most=10_000)
    log = PredictionLog(queue, encoder, Unused(), share=1.0, most=10_000)
    renamed = ready(inputs=(TensorSpec("renamed", np.dtype(np.float32), (None, 2)),))
    for model in (ready(), renamed):
        log.offer(outcome(model=model))
    first, second = (encoder.structured(queue.take()) for _ in range(2))
    assert b'"renamed"' not in first
    assert b'"renamed"' in second
