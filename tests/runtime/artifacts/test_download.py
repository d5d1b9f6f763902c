"""The plan of the parts, and how long a pull goes on trying, on a clock of the test's own."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.artifacts.download import Effort, GivenUpError, download, persist
from runtime.artifacts.policy import Part, PullPolicy, remaining_parts
from runtime.artifacts.store import ObjectInfo, Opened
from runtime.errors import ArtifactMissing, BadSetting, StoreStalled, StoreUnreachable

POLICY = PullPolicy(patience=10, deadline=100)


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 500))
def test_the_parts_cover_what_is_left_once_and_in_order(size: int, have: int, part_bytes: int) -> None:
    parts = remaining_parts(size, have=have, part_bytes=part_bytes)
    assert [byte for part in parts for byte in range(part.start, part.end)] == list(range(have, size))
    assert all(part.end - part.start <= part_bytes for part in parts)


@dataclass
class Clock:
    """A clock that goes when it is told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_patience_ends_an_outage_and_progress_renews_it() -> None:
    clock = Clock()
    effort = Effort(POLICY, clock=clock)
    clock.now += 9
    assert not effort.exhausted()
    assert effort.exhausted(after=1)
    effort.progress("uri")
    clock.now += 9
    assert not effort.exhausted()
    clock.now += 1
    assert effort.exhausted()


def test_the_deadline_ends_a_pull_that_makes_progress() -> None:
    clock = Clock()
    effort = Effort(POLICY, clock=clock)
    for _ in range(20):
        clock.now += 5
        effort.progress("uri")
    assert effort.exhausted()
    clock.now += 0.001
    with pytest.raises(StoreStalled, match="deadline of 100 s"):
        effort.progress("uri")


def test_a_failure_stops_the_other_parts_and_the_first_one_is_told() -> None:
    effort = Effort(POLICY)
    first = ArtifactMissing("uri", "gone")
    for error in (first, StoreStalled("uri", "later"), GivenUpError()):
        effort.fail(error)
    assert effort.failure is first
    assert effort.exhausted()
    with pytest.raises(GivenUpError):
        effort.progress("uri")


def test_only_an_outage_is_tried_again() -> None:
    errors = iter([StoreUnreachable("uri", "1"), StoreStalled("uri", "2"), ArtifactMissing("uri", "3")])

    def attempt() -> None:
        raise next(errors)

    with pytest.raises(ArtifactMissing):
        persist(attempt, Effort(POLICY))


@dataclass
class ScriptedStore:
    """A store that delivers an object in pieces and breaks after as many bytes as its script says, answer by answer."""

    body: bytes
    breaks: list[int]
    piece: int
    scope: str = "here"
    etag: str = field(default="e", init=False)

    def open(self, uri: str, *, first: int, unless: str | None = None) -> Opened | None:
        if unless == self.etag:
            return None
        info = ObjectInfo(uri=uri, size=len(self.body), etag=self.etag)
        end = min(first, len(self.body))
        return Opened(info=info, end=end, pieces=self.read(info, 0, end))

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """Yield pieces, up to the next break."""
        stop = min(end, start + self.breaks.pop()) if self.breaks else end
        for at in range(start, stop, self.piece):
            yield self.body[at : min(at + self.piece, stop)]
        if stop < end:
            raise StoreUnreachable(info.uri, "broken, as the script says")


@given(
    body=st.binary(min_size=1, max_size=400),
    breaks=st.lists(st.integers(1, 50), max_size=12),
    piece=st.integers(1, 60),
    part_bytes=st.integers(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_however_the_answers_break_the_file_is_the_object(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, breaks: list[int], piece: int, part_bytes: int
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "law"
    store = ScriptedStore(body, breaks, piece)
    opened = store.open("uri", first=part_bytes)
    assert opened is not None
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        done = download(store, opened, file, Effort(replace(POLICY, part_bytes=part_bytes)))
    finally:
        os.close(file)
    assert path.read_bytes() == body
    assert done.sha256 == sha256(body).hexdigest()


def test_an_answer_that_is_too_short_is_no_object(tmp_path: Path) -> None:
    info = ObjectInfo(uri="uri", size=3)
    store = ScriptedStore(b"", [], 1)
    file = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(StoreUnreachable, match="ended at byte 1 of 3"):
            download(store, Opened(info=info, end=3, pieces=iter([b"a"])), file, Effort(replace(POLICY, patience=0.2)))
    finally:
        os.close(file)


def test_a_part_is_a_plain_value() -> None:
    assert sorted([Part(5, 6), Part(0, 5)]) == [Part(0, 5), Part(5, 6)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("part_bytes", 0),
        ("concurrency", 0),
        ("max_bytes", 0),
        ("stall_timeout", 0.0),
        ("patience", float("nan")),
        ("deadline", -1.0),
    ],
)
def test_a_limit_that_cannot_work_is_named(name: str, value: float) -> None:
    with pytest.raises(BadSetting, match=f"{name}={value}: expected"):
        replace(POLICY, **cast("dict[str, Any]", {name: value}))
