"""Tests of the attacks: their requests, their end, and the measurements of the probe."""

import gzip
import json
import os
import sys
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import launches
from scripts.benchmarks.attacks.aim import AttackTarget
from scripts.benchmarks.attacks.bodies import BODIES, filled
from scripts.benchmarks.attacks.every import ATTACKS, CONTROL
from scripts.benchmarks.attacks.protocols import GRPC, HOSTILE_REQUESTS
from scripts.benchmarks.attacks.running import Result, run_attack
from scripts.benchmarks.attacks.waits import PROBE_INTERVAL_SECONDS, Waits, summary
from scripts.benchmarks.client import check_answers, wait_for_first_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.live_under_attack import LIMIT, measure_attack, progress_line, summarize
from scripts.benchmarks.servers import PORT, Launch, running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
SMALL_LIMIT = 65536  # bytes: the largest body of a server under test
VALID_JSON = ("rows", "gzipped_rows", "integers", "ragged", "objects", "key", "keys", "string", "digits")

CUSTOM_SERVER = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"])); ON_POST; self.do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def custom_server(on_post: str) -> Launch:
    """A server with one thread that runs a statement on every POST."""
    return Launch(
        label="custom", command=[sys.executable, "-c", CUSTOM_SERVER.replace("ON_POST", on_post), PORT], path="/predict"
    )


class TestBodies:
    @given(
        head=st.binary(max_size=9),
        piece=st.binary(min_size=1, max_size=9),
        tail=st.binary(max_size=9),
        room=st.integers(min_value=0, max_value=99),
    )
    def test_a_body_is_filled_to_within_one_piece_of_its_size(
        self, head: bytes, piece: bytes, tail: bytes, room: int
    ) -> None:
        size = len(head) + len(piece) + len(tail) + room
        got = filled(head, piece, tail, size)
        assert size - len(piece) < len(got) <= size
        assert got.startswith(head + piece)
        assert got.endswith(piece + tail)

    def test_a_size_without_space_for_one_piece_is_refused(self) -> None:
        with pytest.raises(ValueError, match="3 bytes are too few for a body; expected space for one piece of 2"):
            filled(b"a", b"bb", b"c", 3)

    @pytest.mark.parametrize("name", BODIES)
    def test_no_body_is_larger_than_the_limit(self, name: str) -> None:
        made = BODIES[name](30, SMALL_LIMIT)
        assert len(made.data) <= SMALL_LIMIT
        if made.encoding is None:
            assert len(made.data) > 0.99 * SMALL_LIMIT

    @pytest.mark.parametrize("name", HOSTILE_REQUESTS)
    def test_a_body_of_each_protocol_fills_the_limit(self, name: str) -> None:
        assert 0.95 * SMALL_LIMIT < len(HOSTILE_REQUESTS[name].body(SMALL_LIMIT)) <= SMALL_LIMIT

    @pytest.mark.parametrize("name", VALID_JSON)
    def test_these_bodies_are_valid_json(self, name: str) -> None:
        made = BODIES[name](30, 4096)  # Python's json rejects numbers with more digits
        assert json.loads(gzip.decompress(made.data) if made.encoding else made.data)

    def test_all_rows_are_valid_except_the_last_one_of_the_integers(self) -> None:
        rows = json.loads(BODIES["rows"](30, SMALL_LIMIT).data)["inputs"]
        assert {len(row) for row in rows} == {30}
        *right, last = json.loads(BODIES["integers"](30, SMALL_LIMIT).data)["inputs"]
        assert {number for row in right for number in row} == {1}
        assert last == [*[1] * 29, 1.5]

    def test_a_gzip_bomb_inflates_to_more_than_a_hundred_times_its_size(self) -> None:
        inflating = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        got = inflating.decompress(BODIES["gzip_bomb"](30, SMALL_LIMIT).data)
        assert len(got) > 100 * SMALL_LIMIT
        assert not inflating.eof


class TestWaits:
    def test_a_stall_counts_for_every_probe_that_was_due_during_it(self) -> None:
        """One of 201 answers takes a second, which is more than half of the total time."""
        got = summary([*[0.001] * 200, 1.0])
        assert got.longest == 1.0
        assert got.p99 > 0.9

    @given(waits=st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=5))
    def test_the_longest_wait_is_the_maximum_and_no_percentile_exceeds_it(self, waits: list[float]) -> None:
        got = summary(waits)
        assert got.longest == max(waits)
        assert 0 <= got.p99 <= got.longest

    @given(wait=st.floats(min_value=0, max_value=PROBE_INTERVAL_SECONDS))
    def test_answers_within_the_interval_are_counted_unchanged(self, wait: float) -> None:
        assert summary([wait] * 100) == Waits(longest=wait, p99=wait)

    def test_a_summary_of_no_probes_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="there is no probe"):
            summary([])


class TestFigure:
    quiet = Result(waits=Waits(longest=0.010, p99=0.002), peak=80 * 2**20, outcome="{}")

    def test_the_figure_is_the_worst_attack_without_the_control(self) -> None:
        results = dict.fromkeys(ATTACKS, self.quiet)
        results[CONTROL] = self.quiet._replace(waits=Waits(longest=9.0, p99=9.0))
        results["half_open"] = self.quiet._replace(waits=Waits(longest=0.1, p99=0.05))
        got = summarize(results, disturbed=1)
        assert (got.ours, got.floor, got.ratio) == (0.1, 0.05, 2.0)
        assert not got.met
        expected = {"control_ms": 9000.0, "half_open.max_ms": 100.0, "half_open.p99_ms": 50.0, "rows.peak_mib": 80.0}
        assert got.extra.items() >= expected.items()
        assert (got.pairs, got.disturbed) == (len(ATTACKS), 1)

    def test_memory_is_compared_with_the_body_if_an_attack_sends_one_body_at_a_time(self) -> None:
        results = dict.fromkeys(ATTACKS, self.quiet)
        results["h2_bodies"] = self.quiet._replace(peak=99 * LIMIT)
        assert summarize(results, disturbed=0).met
        results["objects"] = self.quiet._replace(peak=13 * LIMIT)
        got = summarize(results, disturbed=0)
        assert got.extra["memory_times_body"] == got.extra["objects.memory_times_body"] == 13
        assert "h2_bodies.memory_times_body" not in got.extra
        assert not got.met

    def test_the_result_of_an_attack_is_one_line(self) -> None:
        line = progress_line("rows", self.quiet)
        assert line == "  rows: live within 10.0 ms (maximum), 2.0 ms (99 %); 80 MiB; {}"


class TestAttacks:
    """Attacks with real processes and connections."""

    def test_every_attack_reaches_the_server_and_ends_by_itself(self, linear: Subject, tmp_path: Path) -> None:
        environment = {**launches.BATCHING, "SCALEZERO_MAX_BODY_BYTES": str(SMALL_LIMIT)}
        launch = launches.ours(linear, str(linear.path), str(tmp_path / "cache"), environment)
        with running(launch, cpu=CPU) as server:
            wait_for_first_answer(server, linear)
            target = AttackTarget(port=server.port, path=launch.path, width=3, limit=SMALL_LIMIT, seconds=0.4)
            outcomes = {name: attack.prepare(target)() for name, attack in ATTACKS.items()}
            check_answers(server, linear)
        assert all(outcome.total() for outcome in outcomes.values())
        assert outcomes["rows"] == Counter({"200 OK": 3})
        for name in ("ragged", "objects", "key", "nested", "string", "digits", "gzip_bomb"):
            assert {status[:1] for status in outcomes[name]} == {"4"}, outcomes[name]
        for name, hostile in HOSTILE_REQUESTS.items():
            if hostile.content_type == GRPC:
                assert outcomes[name]["done"], outcomes[name]
            else:
                assert {status[:1] for status in outcomes[name]} <= {"4", "n"}, outcomes[name]  # n: no answer in time
        for name in set(ATTACKS) - set(BODIES) - set(HOSTILE_REQUESTS) - {CONTROL}:
            assert outcomes[name].keys() <= {"open", "closed"}, outcomes[name]

    def test_an_attack_on_a_closed_port_ends_with_an_outcome(self) -> None:
        target = AttackTarget(port=1, path="/", width=3, limit=SMALL_LIMIT, seconds=0.2)
        outcomes = {name: ATTACKS[name].prepare(target)() for name in ("key", "half_open", "h2_bodies")}
        assert outcomes["key"] == Counter({"ConnectionRefusedError": 3})
        assert outcomes["half_open"] == Counter({"open": 0, "closed": 1100})
        assert outcomes["h2_bodies"].keys() == {"closed"}

    def test_a_blocked_server_answers_the_liveness_check_late(self) -> None:
        with running(custom_server("time.sleep(0.4)"), cpu=CPU) as server:
            target = AttackTarget(port=server.port, path="/predict", width=3, limit=SMALL_LIMIT, seconds=5)
            got = run_attack(server, "key", target, cpu=CPU)
        assert 0.3 < got.waits.longest < 15  # less than 20, the timeout of the probe
        assert json.loads(got.outcome) == {"200 OK": 3}
        assert got.peak > 2**20

    def test_an_attack_that_does_not_end_is_killed(self) -> None:
        with running(custom_server("time.sleep(0.2)"), cpu=CPU) as server:
            target = AttackTarget(port=server.port, path="/predict", width=3, limit=SMALL_LIMIT, seconds=2)
            got = run_attack(server, "slow_bodies", target, cpu=CPU, exit_grace=-1.5, probe_timeout=3)
        assert got.outcome == "killed"

    def test_a_server_that_exits_is_not_live(self) -> None:
        with running(custom_server("print('exiting', flush=True); os._exit(3)"), cpu=CPU) as server:
            target = AttackTarget(port=server.port, path="/predict", width=3, limit=SMALL_LIMIT, seconds=2)
            got = run_attack(server, "key", target, cpu=CPU, probe_timeout=0.5)
        assert got.waits == Waits(0.5, 0.5)
        assert got.outcome.startswith("the server exited: ")
        assert "exiting" in got.outcome

    def test_an_attack_on_our_server_is_measured_end_to_end(self, lab: Lab) -> None:
        got = measure_attack(lab, "ragged", limit=SMALL_LIMIT, seconds=1)
        assert 0 < got.waits.p99 <= got.waits.longest < 20
        assert 2**20 < got.peak < 2**30
        assert sum(json.loads(got.outcome).values()) == 3

    def test_whole_numbers_are_sent_to_a_model_with_integer_inputs(self, lab: Lab, linear: Subject) -> None:
        lab.counts = replace(linear, path=linear.path.with_name("none.onnx"))
        assert ATTACKS["integers"].whole_numbers
        with pytest.raises(CannotMeasure, match=r"none\.onnx"):
            measure_attack(lab, "integers", limit=SMALL_LIMIT, seconds=1)
