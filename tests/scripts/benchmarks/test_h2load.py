"""Tests of h2load's summary: its counters are parsed, and a failed request is an error."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import launches
from scripts.benchmarks.client import wait_for_first_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.h2load import Outcome, Post, Version, h2load, options, parse
from scripts.benchmarks.servers import running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
COUNTS = st.integers(min_value=0, max_value=10**9)


def printed(
    *, succeeded: int, failed: int = 0, errored: int = 0, timeout: int = 0, bad: int = 0, data: int = 4676595
) -> str:
    """Return the end of the output of nghttp2 1.52."""
    total = succeeded + failed + errored + timeout
    return (
        "Stopped all clients for thread #0\n\n"
        "finished in 3.00s, 15819.50 req/s, 4.37MB/s\n"
        f"requests: {total} total, {total} started, {total} done, {succeeded} succeeded, {failed} failed, "
        f"{errored} errored, {timeout} timeout\n"
        f"status codes: {succeeded} 2xx, 0 3xx, 0 4xx, {bad} 5xx\n"
        f"traffic: 8.75MB (9171855) total, 6.97MB (7309422) headers (space savings 0.00%), 4.46MB ({data}) data\n"
    )


class TestParse:
    @given(succeeded=COUNTS, failed=COUNTS, errored=COUNTS, timeout=COUNTS, bad=COUNTS, data=COUNTS)
    def test_every_count_is_read_under_its_own_name(
        self, succeeded: int, failed: int, errored: int, timeout: int, bad: int, data: int
    ) -> None:
        got = parse(printed(succeeded=succeeded, failed=failed, errored=errored, timeout=timeout, bad=bad, data=data))
        failures = {"failed": failed, "errored": errored, "timeout": timeout, "5xx": bad}
        assert got == Outcome(
            rate=15819.5,
            succeeded=succeeded,
            data=data,
            failures={name: count for name, count in failures.items() if count},
        )

    def test_the_rate_is_valid_if_every_request_succeeded(self) -> None:
        assert parse(printed(succeeded=9)).checked_rate == 15819.5

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (printed(succeeded=9, failed=1), "9 requests succeeded, 1 failed"),
            (printed(succeeded=9, errored=2, timeout=3), "2 errored, 3 timeout"),
            (printed(succeeded=9, bad=4), "4 5xx"),
            (printed(succeeded=0), "0 requests succeeded, none failed"),
        ],
    )
    def test_one_failure_is_an_error(self, text: str, message: str) -> None:
        with pytest.raises(CannotMeasure, match=message):
            _ = parse(text).checked_rate

    @pytest.mark.parametrize("missing", ["finished in", "requests:", "status codes:", "traffic:"])
    def test_a_missing_line_is_an_error(self, missing: str) -> None:
        with pytest.raises(CannotMeasure, match="h2load printed no figures"):
            parse(printed(succeeded=9).replace(missing, "?"))


def test_concurrency_is_http1_connections_or_streams_of_one_http2_connection() -> None:
    assert options(Version.HTTP1, concurrency=8) == ["-t1", "-c8", "-m1", "--no-tls-proto=http/1.1"]
    assert options(Version.H2C, concurrency=8) == ["-t1", "-c1", "-m8", "--no-tls-proto=h2c"]


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (Debian: nghttp2-client)")
@pytest.mark.parametrize("version", Version)
def test_a_real_server_is_loaded_over_both_versions(version: Version, linear: Subject, tmp_path: Path) -> None:
    launch = launches.ours(linear, str(linear.path), str(tmp_path / "cache"), launches.BATCHING)
    with running(launch, cpu=CPU) as server:
        wait_for_first_answer(server, linear)
        post = Post(path=server.launch.path, body=linear.body(0))
        got = h2load(server, post, version=version, concurrency=4, seconds=1, cpu=CPU)
        assert got.checked_rate > 10
        assert got.succeeded > 10
        post = Post(path=server.launch.path, body=b"{}")
        with pytest.raises(CannotMeasure, match="4xx"):
            _ = h2load(server, post, version=version, concurrency=1, seconds=1, cpu=CPU).checked_rate
