"""Tests of the split into parts, of retries with a fake clock, and of a download from a scripted store."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.artifacts.download import PullCancelledError, RetryBudget, download, with_retries
from runtime.artifacts.policy import Part, PullPolicy, remaining_parts
from runtime.artifacts.store import ObjectInfo, OpenedObject
from runtime.errors import ArtifactMissing, BadSetting, StoreStalled, StoreUnreachable

POLICY = PullPolicy(progress_timeout=10, deadline=100)


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 500))
def test_the_parts_cover_the_remaining_bytes_once_and_in_order(size: int, have: int, part_bytes: int) -> None:
    parts = remaining_parts(size, have=have, part_bytes=part_bytes)
    assert [byte for part in parts for byte in range(part.start, part.end)] == list(range(have, size))
    assert all(part.end - part.start <= part_bytes for part in parts)


@dataclass
class Clock:
    """A clock that only advances when a test changes `now`."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_progress_restarts_the_progress_timeout() -> None:
    clock = Clock()
    budget = RetryBudget(POLICY, clock=clock)
    clock.now += 9
    assert not budget.exhausted()
    assert budget.exhausted(after=1)
    budget.record_progress("uri")
    clock.now += 9
    assert not budget.exhausted()
    clock.now += 1
    assert budget.exhausted()


def test_a_pull_that_makes_progress_fails_after_its_deadline() -> None:
    clock = Clock()
    budget = RetryBudget(POLICY, clock=clock)
    for _ in range(20):
        clock.now += 5
        budget.record_progress("uri")
    assert budget.exhausted()
    clock.now += 0.001
    with pytest.raises(StoreStalled, match="deadline of 100 s"):
        budget.record_progress("uri")


def test_a_failure_stops_the_other_parts_and_the_first_one_is_reported() -> None:
    budget = RetryBudget(POLICY)
    first = ArtifactMissing("uri", "gone")
    for error in (first, StoreStalled("uri", "later"), PullCancelledError()):
        budget.cancel(error)
    assert budget.failure is first
    assert budget.exhausted()
    with pytest.raises(PullCancelledError):
        budget.record_progress("uri")


def test_only_an_outage_is_retried() -> None:
    errors = iter([StoreUnreachable("uri", "1"), StoreStalled("uri", "2"), ArtifactMissing("uri", "3")])

    def attempt() -> None:
        raise next(errors)

    with pytest.raises(ArtifactMissing):
        with_retries(attempt, RetryBudget(POLICY))


@dataclass
class ScriptedStore:
    """A store that sends an object in pieces. Each response breaks after a number of bytes from `breaks`."""

    body: bytes
    breaks: list[int]
    piece: int
    scope: str = "here"
    etag: str = field(default="e", init=False)

    def open(self, uri: str, *, first_bytes: int, if_none_match: str | None = None) -> OpenedObject | None:
        if if_none_match == self.etag:
            return None
        info = ObjectInfo(uri=uri, size=len(self.body), etag=self.etag)
        end = min(first_bytes, len(self.body))
        return OpenedObject(info=info, end=end, pieces=self.read(info, 0, end))

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """Yield pieces, up to the next break."""
        stop = min(end, start + self.breaks.pop()) if self.breaks else end
        for at in range(start, stop, self.piece):
            yield self.body[at : min(at + self.piece, stop)]
        if stop < end:
            raise StoreUnreachable(info.uri, "broken by the script")


@given(
    body=st.binary(min_size=1, max_size=400),
    breaks=st.lists(st.integers(1, 50), max_size=12),
    piece=st.integers(1, 60),
    part_bytes=st.integers(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_the_file_is_complete_wherever_the_responses_break(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, breaks: list[int], piece: int, part_bytes: int
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "law"
    store = ScriptedStore(body, breaks, piece)
    opened = store.open("uri", first_bytes=part_bytes)
    assert opened is not None
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        done = download(store, opened, file, RetryBudget(replace(POLICY, part_bytes=part_bytes)))
    finally:
        os.close(file)
    assert path.read_bytes() == body
    assert done.sha256 == sha256(body).hexdigest()


def test_a_response_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    info = ObjectInfo(uri="uri", size=3)
    store = ScriptedStore(b"", [], 1)
    file = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(StoreUnreachable, match="response ended at byte 1 of 3"):
            download(
                store,
                OpenedObject(info=info, end=3, pieces=iter([b"a"])),
                file,
                RetryBudget(replace(POLICY, progress_timeout=0.2)),
            )
    finally:
        os.close(file)


def test_parts_are_sorted_by_their_offsets() -> None:
    assert sorted([Part(5, 6), Part(0, 5)]) == [Part(0, 5), Part(5, 6)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("part_bytes", 0),
        ("concurrency", 0),
        ("max_bytes", 0),
        ("stall_timeout", 0.0),
        ("progress_timeout", float("nan")),
        ("deadline", -1.0),
    ],
)
def test_the_error_for_an_invalid_limit_names_it(name: str, value: float) -> None:
    with pytest.raises(BadSetting, match=f"{name}={value}: expected"):
        replace(POLICY, **cast("dict[str, Any]", {name: value}))
