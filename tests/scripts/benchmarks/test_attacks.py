"""Hostile clients: what they send, that every attack ends, and what the probe measures meanwhile."""

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
from scripts.benchmarks.attacks.aim import Aim
from scripts.benchmarks.attacks.bodies import BODIES, filled
from scripts.benchmarks.attacks.every import ATTACKS, CONTROL
from scripts.benchmarks.attacks.protocols import GRPC, HOSTILE
from scripts.benchmarks.attacks.running import Result, attacked
from scripts.benchmarks.attacks.waits import EVERY_SECONDS, Waits, summary
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.live_under_attack import LIMIT, line, summed_up, under
from scripts.benchmarks.servers import PORT, Launch, running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
LITTLE = 65536  # bytes: the largest body of a server under test
GOOD = ("rows", "gzipped_rows", "integers", "ragged", "objects", "key", "keys", "string", "digits")  # JSON, if hostile

ODD_SERVER = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"])); ON_POST; self.do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def odd(on_post: str) -> Launch:
    """A server of one thread that does something odd on every POST."""
    return Launch(
        label="odd", command=[sys.executable, "-c", ODD_SERVER.replace("ON_POST", on_post), PORT], path="/predict"
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

    def test_a_size_without_room_for_one_piece_is_refused(self) -> None:
        with pytest.raises(ValueError, match="3 bytes are too few for a body; expected room for one piece of 2"):
            filled(b"a", b"bb", b"c", 3)

    @pytest.mark.parametrize("name", BODIES)
    def test_no_body_is_larger_than_the_limit(self, name: str) -> None:
        made = BODIES[name](30, LITTLE)
        assert len(made.data) <= LITTLE
        if made.encoding is None:
            assert len(made.data) > 0.99 * LITTLE

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_body_of_each_protocol_fills_the_limit(self, name: str) -> None:
        assert 0.95 * LITTLE < len(HOSTILE[name].body(LITTLE)) <= LITTLE

    @pytest.mark.parametrize("name", GOOD)
    def test_json_is_hostile_by_its_content_and_not_by_its_syntax(self, name: str) -> None:
        made = BODIES[name](30, 4096)  # Python's json reads no number of more digits
        assert json.loads(gzip.decompress(made.data) if made.encoding else made.data)

    def test_rows_are_right_and_only_the_last_of_the_integers_is_not(self) -> None:
        rows = json.loads(BODIES["rows"](30, LITTLE).data)["inputs"]
        assert {len(row) for row in rows} == {30}
        *right, last = json.loads(BODIES["integers"](30, LITTLE).data)["inputs"]
        assert {number for row in right for number in row} == {1}
        assert last == [*[1] * 29, 1.5]

    def test_a_bomb_inflates_to_a_hundred_times_its_size_and_more(self) -> None:
        inflating = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        got = inflating.decompress(BODIES["gzip_bomb"](30, LITTLE).data)
        assert len(got) > 100 * LITTLE
        assert not inflating.eof


class TestWaits:
    def test_a_stall_counts_for_every_probe_that_was_due_meanwhile(self) -> None:
        """One answer in a thousand takes a second; of the time, half is spent in that stall."""
        got = summary([*[0.001] * 200, 1.0])
        assert got.longest == 1.0
        assert got.p99 > 0.9

    @given(waits=st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=5))
    def test_the_longest_is_the_longest_and_no_percentile_is_beyond_it(self, waits: list[float]) -> None:
        got = summary(waits)
        assert got.longest == max(waits)
        assert 0 <= got.p99 <= got.longest

    @given(wait=st.floats(min_value=0, max_value=EVERY_SECONDS))
    def test_answers_in_time_count_as_they_are(self, wait: float) -> None:
        assert summary([wait] * 100) == Waits(longest=wait, p99=wait)

    def test_no_probe_is_no_result(self) -> None:
        with pytest.raises(ValueError, match="no probe was made"):
            summary([])


class TestFigure:
    quiet = Result(waits=Waits(longest=0.010, p99=0.002), peak=80 * 2**20, outcome="{}")

    def test_the_worst_attack_makes_the_figure_and_the_control_does_not(self) -> None:
        results = dict.fromkeys(ATTACKS, self.quiet)
        results[CONTROL] = self.quiet._replace(waits=Waits(longest=9.0, p99=9.0))
        results["half_open"] = self.quiet._replace(waits=Waits(longest=0.1, p99=0.05))
        got = summed_up(results, disturbed=1)
        assert (got.ours, got.floor, got.ratio) == (0.1, 0.05, 2.0)
        assert not got.met
        expected = {"control_ms": 9000.0, "half_open.max_ms": 100.0, "half_open.p99_ms": 50.0, "rows.peak_mib": 80.0}
        assert got.extra.items() >= expected.items()
        assert (got.pairs, got.disturbed) == (len(ATTACKS), 1)

    def test_memory_is_held_against_a_body_where_one_is_sent_at_a_time(self) -> None:
        results = dict.fromkeys(ATTACKS, self.quiet)
        results["h2_bodies"] = self.quiet._replace(peak=99 * LIMIT)
        assert summed_up(results, disturbed=0).met
        results["objects"] = self.quiet._replace(peak=13 * LIMIT)
        got = summed_up(results, disturbed=0)
        assert got.extra["memory_times_body"] == got.extra["objects.memory_times_body"] == 13
        assert "h2_bodies.memory_times_body" not in got.extra
        assert not got.met

    def test_the_result_of_an_attack_is_one_line(self) -> None:
        assert line("rows", self.quiet) == "  rows: live after 10.0 ms at most, 2.0 ms for 99 %; 80 MiB; {}"


class TestAttacks:
    """On real processes and real connections."""

    def test_every_attack_reaches_the_server_and_ends_by_itself(self, linear: Subject, tmp_path: Path) -> None:
        environment = {**launches.BATCHING, "SCALEZERO_MAX_BODY_BYTES": str(LITTLE)}
        launch = launches.ours(linear, str(linear.path), str(tmp_path / "cache"), environment)
        with running(launch, cpu=CPU) as server:
            first_right_answer(server, linear)
            aim = Aim(port=server.port, path=launch.path, width=3, limit=LITTLE, seconds=0.4)
            outcomes = {name: attack.prepare(aim)() for name, attack in ATTACKS.items()}
            check(server, linear)
        assert all(outcome.total() for outcome in outcomes.values())
        assert outcomes["rows"] == Counter({"200 OK": 3})
        for name in ("ragged", "objects", "key", "nested", "string", "digits", "gzip_bomb"):
            assert {status[:1] for status in outcomes[name]} == {"4"}, outcomes[name]
        for name, hostile in HOSTILE.items():
            if hostile.content_type == GRPC:
                assert outcomes[name]["done"], outcomes[name]
            else:
                assert {status[:1] for status in outcomes[name]} <= {"4", "n"}, outcomes[name]  # n: not in time
        for name in set(ATTACKS) - set(BODIES) - set(HOSTILE) - {CONTROL}:
            assert outcomes[name].keys() <= {"open", "closed"}, outcomes[name]

    def test_an_attack_on_a_closed_port_ends_with_an_outcome(self) -> None:
        aim = Aim(port=1, path="/", width=3, limit=LITTLE, seconds=0.2)
        outcomes = {name: ATTACKS[name].prepare(aim)() for name in ("key", "half_open", "h2_bodies")}
        assert outcomes["key"] == Counter({"ConnectionRefusedError": 3})
        assert outcomes["half_open"] == Counter({"open": 0, "closed": 1100})
        assert outcomes["h2_bodies"].keys() == {"closed"}

    def test_a_server_that_stands_still_is_slow_to_say_that_it_is_alive(self) -> None:
        with running(odd("time.sleep(0.4)"), cpu=CPU) as server:
            aim = Aim(port=server.port, path="/predict", width=3, limit=LITTLE, seconds=5)
            got = attacked(server, "key", aim, cpu=CPU)
        assert 0.3 < got.waits.longest < 15  # and not 20, as of a probe that gave up
        assert json.loads(got.outcome) == {"200 OK": 3}
        assert got.peak > 2**20

    def test_an_attack_that_does_not_end_is_killed(self) -> None:
        with running(odd("time.sleep(0.2)"), cpu=CPU) as server:
            aim = Aim(port=server.port, path="/predict", width=3, limit=LITTLE, seconds=2)
            got = attacked(server, "slow_bodies", aim, cpu=CPU, overtime=-1.5, give_up=3)
        assert got.outcome == "killed"

    def test_a_server_that_ends_is_not_alive(self) -> None:
        with running(odd("print('no more', flush=True); os._exit(3)"), cpu=CPU) as server:
            aim = Aim(port=server.port, path="/predict", width=3, limit=LITTLE, seconds=2)
            got = attacked(server, "key", aim, cpu=CPU, give_up=0.5)
        assert got.waits == Waits(0.5, 0.5)
        assert got.outcome.startswith("the server ended: ")
        assert "no more" in got.outcome

    def test_ours_is_attacked_from_end_to_end(self, lab: Lab) -> None:
        got = under(lab, "ragged", limit=LITTLE, seconds=1)
        assert 0 < got.waits.p99 <= got.waits.longest < 20
        assert 2**20 < got.peak < 2**30
        assert sum(json.loads(got.outcome).values()) == 3

    def test_whole_numbers_are_sent_to_a_model_that_takes_them(self, lab: Lab, linear: Subject) -> None:
        lab.counts = replace(linear, path=linear.path.with_name("none.onnx"))
        assert ATTACKS["integers"].whole_numbers
        with pytest.raises(CannotMeasure, match=r"none\.onnx"):
            under(lab, "integers", limit=LITTLE, seconds=1)
