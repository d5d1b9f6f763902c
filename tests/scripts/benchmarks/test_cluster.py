"""What is seen on a cluster, and how it is judged; the functions that are deployed for it."""

import http.server
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.function.configuration import Flags, deployment_options, function_for
from knative.manifests import desired
from knative.resources import read_resources
from scripts.benchmarks.cluster import functions, outcomes
from scripts.benchmarks.cluster.asking import Request, ask, ask_times, asking
from scripts.benchmarks.cluster.cli import FUNCTION, measured
from scripts.benchmarks.cluster.outcomes import Load, Outcome
from scripts.benchmarks.cluster.payment import predict
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Pair

IMAGE = "dev.local/scalezero:1"


def load(*, good: int = 400, failures: int = 0, v1: int = 200) -> Load:
    return Load(
        seconds=[0.01] * good, failures=["503 b''"] * failures, revisions={"v1": v1, "v2": good - v1} if good else {}
    )


class TestColdStart:
    def test_the_difference_is_the_median_of_the_pairs_differences(self) -> None:
        """A moment that slows both halves of a pair changes the medians, and must not change the difference."""
        pairs = [Pair(ours=1.3, floor=1.2), Pair(ours=5.1, floor=5.0), Pair(ours=1.4, floor=1.1)]
        assert outcomes.cold_start(pairs).measured["difference_s"] == pytest.approx(0.1)

    @pytest.mark.parametrize(("ours", "met"), [(1.5, True), (1.59, True), (1.61, False)])
    def test_ours_may_come_as_much_later_as_is_promised(self, ours: float, *, met: bool) -> None:
        assert outcomes.cold_start([Pair(ours=ours, floor=1.2)]).met is met

    def test_no_pair_is_no_figure(self) -> None:
        with pytest.raises(ValueError, match="no pair was measured"):
            outcomes.cold_start([])


class TestSplit:
    def test_half_of_400_lies_between_167_and_233_but_for_one_time_in_a_thousand(self) -> None:
        assert outcomes.bounds(400, 0.5, 0.001) == (167, 233)

    @given(trials=st.integers(0, 300), percent=st.integers(0, 100), chance=st.floats(1e-6, 0.5))
    def test_what_lies_outside_of_the_bounds_is_no_likelier_than_said(
        self, trials: int, percent: int, chance: float
    ) -> None:
        low, high = outcomes.bounds(trials, percent / 100, chance)
        outside = [count for count in range(trials + 1) if not low <= count <= high]
        share = percent / 100
        weight = sum(math.comb(trials, n) * share**n * (1 - share) ** (trials - n) for n in outside)
        assert weight <= chance * (1 + 1e-9)

    @pytest.mark.parametrize(("v1", "met"), [(166, False), (167, True), (233, True), (234, False)])
    def test_a_share_on_the_bounds_is_kept(self, v1: int, *, met: bool) -> None:
        assert outcomes.split(load(v1=v1), revision="v1", percent=50).met is met

    def test_one_failure_breaks_the_promise_and_is_told(self) -> None:
        got = outcomes.split(load(failures=1), revision="v1", percent=50)
        assert not got.met
        assert got.measured["failed"] == 1
        assert got.measured["first_failure"] == "503 b''"


class TestRolloutAndScaleOut:
    @pytest.mark.parametrize(("failures", "done", "met"), [(0, True, True), (1, True, False), (0, False, False)])
    def test_a_rollout_arrives_and_loses_nobody(self, failures: int, *, done: bool, met: bool) -> None:
        assert outcomes.rollout(load(failures=failures), target="v2", done=done).met is met

    @pytest.mark.parametrize(
        ("failures", "pods", "met"), [(0, [(0.0, 0), (1.0, 2)], True), (0, [(1.0, 1)], False), (1, [(1.0, 2)], False)]
    )
    def test_a_burst_needs_a_second_pod_and_loses_nobody(
        self, failures: int, pods: list[tuple[float, int]], *, met: bool
    ) -> None:
        assert outcomes.scale_out(load(failures=failures), pods=pods).met is met

    def test_a_burst_of_which_nothing_came_back_is_told_all_the_same(self) -> None:
        got = outcomes.scale_out(load(good=0, failures=3), pods=[])
        assert (got.measured["requests"], got.measured["most_pods"], got.met) == (3, 0, False)


class TestReport:
    found = (outcomes.cold_start([Pair(ours=1.61, floor=1.2)]), outcomes.split(load(), revision="v1", percent=50))

    def test_json_has_what_was_measured_the_target_and_the_verdict_of_each_name(self) -> None:
        written = json.loads(json.dumps(outcomes.document(self.found)))
        assert list(written) == ["cold_start", "split"]
        expected = {"ours_s": 1.61, "hello_world_s": 1.2, "difference_s": 0.41, "target": "difference <= 0.4 s"}
        assert written["cold_start"].items() >= {**expected, "met": False}.items()

    def test_the_table_has_a_line_for_each_and_shows_a_missed_target(self) -> None:
        missed, kept = outcomes.table(self.found).splitlines()[2:]
        assert "| NO " in missed
        assert "by_v1 200, bounds 167 to 233" in kept

    def test_a_figure_that_cannot_be_had_leaves_the_others(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fails() -> Outcome:
            raise CannotMeasure("nobody is there")

        found, failed = measured({"rollout": fails, "split": lambda: self.found[1]})
        assert (found, failed) == ([self.found[1]], ["rollout"])
        assert "rollout cannot be measured: nobody is there" in capsys.readouterr().err


class TestFunctions:
    def test_hello_world_sees_nothing_of_what_our_image_adds_and_has_the_same_share_of_a_node(self) -> None:
        (container,) = functions.hello_world(IMAGE)["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [{"name": "PATH", "value": "/usr/local/bin:/usr/bin:/bin"}]
        (ours,) = template_of(FUNCTION)["spec"]["containers"]
        assert container["resources"] == ours["resources"]

    def test_a_pod_of_the_burst_function_is_worth_as_few_requests_as_it_says(self, tmp_path: Path) -> None:
        for name, text in functions.burst_function(IMAGE).items():
            (tmp_path / name).write_text(text)
        annotations = template_of(tmp_path)["metadata"]["annotations"]
        assert annotations["autoscaling.knative.dev/target"] == str(functions.BURST_TARGET)
        assert annotations["autoscaling.knative.dev/max-scale"] == str(functions.BURST_PODS)


def template_of(folder: Path) -> dict[str, Any]:
    """What a folder's first revision is made of."""
    resources = read_resources(folder)
    options = deployment_options(function_for([folder], resources.models), environ={}, flags=Flags(image=IMAGE))
    service = next(step.manifest for step in desired(resources, options) if step.manifest["kind"] == "Service")
    template: dict[str, Any] = service["spec"]["template"]
    return template


class Handler(http.server.BaseHTTPRequestHandler):
    """Two revisions in turns; /broken answers 503, /gone nothing at all."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.close_connection = True
            return
        Handler.asked += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(503 if self.path == "/broken" else 200)
        self.send_header("x-revision", f"v{1 + Handler.asked % 2}")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in http.server
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestAsking:
    def test_a_reply_names_the_revision_that_gave_it(self, url: str) -> None:
        reply = ask(predict(url))
        assert reply.failure is None
        assert reply.revision in {"v1", "v2"}
        assert reply.seconds > 0

    def test_any_status_but_200_is_a_failure_with_what_was_said(self, url: str) -> None:
        assert ask(Request(url=f"{url}/broken")).failure == "503 b'ok'"

    def test_a_connection_that_is_closed_is_a_failure_and_not_the_end(self, url: str) -> None:
        assert "RemoteDisconnected" in str(ask(Request(url=f"{url}/gone")).failure)

    def test_each_of_many_requests_is_counted_once_by_who_answered(self, url: str) -> None:
        got = ask_times(Request(url=url), 20, callers=1)
        assert (got.requests, got.failures, got.revisions) == (20, [], {"v1": 10, "v2": 10})

    def test_callers_go_on_until_they_are_told_and_then_stop(self, url: str) -> None:
        over = threading.Event()
        with asking(Request(url=url), callers=2, pause=0.001) as load:
            over.wait(0.2)
        first = load().requests
        over.wait(0.1)
        assert first == load().requests > 2
