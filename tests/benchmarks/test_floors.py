"""The floors answer as the model does; a floor that is wrong would be a fast one."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, first_right_answer, line
from scripts.benchmarks.servers import Launch, running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
CALLERS = 40  # more than the largest batch
TIMES = 20
FLOORS = {"raw": launches.raw, "batching": launches.batching, "bare": launches.bare}


@pytest.mark.parametrize("launch", FLOORS.values(), ids=FLOORS)
def test_each_caller_gets_the_answer_to_its_own_row(launch: Callable[[Subject], Launch], linear: Subject) -> None:
    def right(caller: int) -> bool:
        index = caller % len(linear.rows)
        with line(server, linear, index) as connection:
            return all(linear.accepts(index, connection.ask()) for _ in range(TIMES))

    with running(launch(linear), cpu=CPU) as server:
        first_right_answer(server, linear)
        check(server, linear)
        with ThreadPoolExecutor(CALLERS) as pool:
            assert all(pool.map(right, range(CALLERS)))
