"""The host imports a function once, but pulls it again as long as the cause of a failure may pass."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.errors import AccessDenied, FunctionFailed, ModelUnavailable, ScalezeroError, StoreUnreachable
from runtime.frontends.functions import FunctionHost, Loaded

UNREACHABLE = StoreUnreachable("s3://b/main.wasm", "it does not answer")
FINAL = FunctionFailed("main.wasm", "it is not valid")
LOADED = Loaded(lambda _, __: [], takes_events=False)


def hosting(*outcomes: Loaded | ScalezeroError) -> tuple[FunctionHost, Iterator[Loaded | ScalezeroError]]:
    """Return a host whose attempts have these outcomes, and those that are left."""
    left = iter(outcomes)

    def load() -> Loaded:
        outcome = next(left)
        if isinstance(outcome, ScalezeroError):
            raise outcome
        return outcome

    return FunctionHost(load, folder=Path(), threads=1, waiting=1, timeout=1, limit=60), left


def test_the_next_call_pulls_again_after_a_failure() -> None:
    async def calls() -> None:
        host, _ = hosting(UNREACHABLE, LOADED)
        with pytest.raises(StoreUnreachable):
            await host.load()
        assert (host.ready, host.error, host.takes_events) == (False, UNREACHABLE, None)
        assert await host.load() is LOADED
        assert (host.ready, host.error, host.takes_events) == (True, None, False)

    asyncio.run(calls())


def test_calls_that_wait_for_the_same_attempt_get_its_error() -> None:
    async def calls() -> None:
        host, left = hosting(UNREACHABLE, LOADED)
        errors = await asyncio.gather(*(host.load() for _ in range(3)), return_exceptions=True)
        assert errors == [UNREACHABLE] * 3
        assert next(left) is LOADED

    asyncio.run(calls())


def test_an_import_that_fails_is_final() -> None:
    async def calls() -> None:
        host, left = hosting(FINAL, LOADED)
        await host.preload(lambda _: False)
        for _ in range(2):
            with pytest.raises(FunctionFailed):
                await host.load()
        assert (host.ready, host.error) == (False, FINAL)
        assert next(left) is LOADED

    asyncio.run(calls())


@pytest.mark.parametrize(
    ("stop_retrying", "attempts"),
    [(lambda _: False, 2), (lambda error: error.permanent, 1), (lambda _: True, 1)],
    ids=["never", "if permanent", "always"],
)
def test_a_function_is_pulled_again_in_the_background_until_it_should_stop(
    stop_retrying: Callable[[ScalezeroError], bool], attempts: int
) -> None:
    denied = AccessDenied("s3://b/main.wasm", "the bucket is private")
    reported: list[ScalezeroError] = []

    def stops(error: ScalezeroError) -> bool:
        reported.append(error)
        return stop_retrying(error)

    async def calls() -> FunctionHost:
        host, _ = hosting(denied, LOADED)
        await host.preload(stops)
        return host

    host = asyncio.run(calls())
    assert reported == [denied]
    assert host.ready == (attempts == 2)
    assert isinstance(host.error, ModelUnavailable) == (attempts == 1)
