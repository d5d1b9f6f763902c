"""The pool: a fixed number of threads, whatever their jobs do."""

import threading
from concurrent.futures import Future

import pytest

from runtime.frontends.functions.threads import Threads
from tests.waiting import DEADLINE


def run(threads: Threads, *, busy: int = 0) -> threading.Thread:
    """Run a job, and return its thread."""
    found: Future[threading.Thread] = Future()
    threads.run(lambda: found.set_result(threading.current_thread()), busy=busy)
    return found.result(DEADLINE)


def test_a_free_thread_is_reused() -> None:
    threads = Threads(3, name="t")
    assert len({run(threads) for _ in range(5)}) == 1


def test_a_thread_is_started_if_none_is_free_up_to_the_limit() -> None:
    threads = Threads(2, name="t")
    begun, go = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        go.wait(DEADLINE)

    threads.run(wait, busy=0)
    assert begun.wait(DEADLINE)
    assert run(threads, busy=1).name == "t-2"
    assert {run(threads, busy=1).name for _ in range(3)} == {"t-2"}
    go.set()


def test_threads_do_not_delay_the_end_of_the_process() -> None:
    assert run(Threads(1, name="t")).daemon


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_thread_survives_an_exception_of_its_job(kind: type[BaseException], caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise kind

    threads = Threads(1, name="t")
    first = run(threads)
    threads.run(fail, busy=0)
    assert run(threads) is first
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [kind]
