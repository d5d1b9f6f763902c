"""The floors must answer correctly, because a wrong floor could be too fast."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scripts.benchmarks import decoding, grpc_methods, launches
from scripts.benchmarks.client import check_answers, keep_alive, wait_for_first_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.floors import json_numpy
from scripts.benchmarks.grpc_client import check_calls
from scripts.benchmarks.servers import Launch, running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
CALLERS = 40  # more than the largest batch
TIMES = 20
FLOORS = {"raw": launches.raw, "batching": launches.batching, "bare": launches.bare}
WRONG = grpc_methods.Method(
    path="/ml.v1.InferenceService/Other", request=grpc_methods.ML_V1.request, outputs=grpc_methods.ML_V1.outputs
)


@pytest.mark.parametrize("launch", FLOORS.values(), ids=FLOORS)
def test_each_caller_gets_the_answer_to_its_own_row(launch: Callable[[Subject], Launch], linear: Subject) -> None:
    def is_correct(caller: int) -> bool:
        index = caller % len(linear.rows)
        with keep_alive(server, linear, index) as connection:
            return all(linear.accepts(index, connection.send()) for _ in range(TIMES))

    with running(launch(linear), cpu=CPU) as server:
        wait_for_first_answer(server, linear)
        check_answers(server, linear)
        with ThreadPoolExecutor(CALLERS) as pool:
            assert all(pool.map(is_correct, range(CALLERS)))


def test_the_grpc_floor_answers_each_row_and_no_other_method(linear: Subject) -> None:
    with running(launches.grpc_asyncio(linear), cpu=CPU) as server:
        message = check_calls(server, linear, grpc_methods.ML_V1)
        assert grpc_methods.ML_V1.outputs(message) == linear.answers[0]
        with pytest.raises(CannotMeasure, match=r"floors/grpc_asyncio.py: .*/Other ended with UNIMPLEMENTED"):
            check_calls(server, linear, WRONG)


@pytest.mark.parametrize("form", json_numpy.FORMS)
def test_a_body_of_a_million_numbers_is_decoded_without_loss(form: str) -> None:
    text = json_numpy.body(form)
    assert np.array_equal(json_numpy.decoded(text, form), json_numpy.tensor())
    assert np.array_equal(decoding.decoded(text, form), json_numpy.tensor())
