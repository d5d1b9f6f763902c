"""Tests of the cluster benchmarks: their outcomes, their deployed functions and their requests."""

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

from knative.function.configuration import Flags, deployment_options, func_yaml_of
from knative.manifests import desired
from knative.resources import read_resources
from scripts.benchmarks.cluster import functions, outcomes
from scripts.benchmarks.cluster.asking import Request, background_load, send_request, send_requests
from scripts.benchmarks.cluster.cli import FUNCTION, measure_all
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
        """A slow phase that affects both halves of a pair changes the medians, but not the difference."""
        pairs = [Pair(ours=1.3, floor=1.2), Pair(ours=5.1, floor=5.0), Pair(ours=1.4, floor=1.1)]
        assert outcomes.cold_start(pairs).measured["difference_s"] == pytest.approx(0.1)

    @pytest.mark.parametrize(("ours", "met"), [(1.3, True), (1.34, True), (1.36, False)])
    def test_the_target_is_met_up_to_the_margin(self, ours: float, *, met: bool) -> None:
        assert outcomes.cold_start([Pair(ours=ours, floor=1.2)]).met is met

    def test_a_figure_without_pairs_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="no pair was measured"):
            outcomes.cold_start([])


class TestSplit:
    def test_half_of_400_is_outside_167_to_233_once_in_a_thousand_times(self) -> None:
        assert outcomes.bounds(400, 0.5, 0.001) == (167, 233)

    @given(trials=st.integers(0, 300), percent=st.integers(0, 100), chance=st.floats(1e-6, 0.5))
    def test_counts_outside_of_the_bounds_have_at_most_the_given_probability(
        self, trials: int, percent: int, chance: float
    ) -> None:
        low, high = outcomes.bounds(trials, percent / 100, chance)
        outside = [count for count in range(trials + 1) if not low <= count <= high]
        share = percent / 100
        weight = sum(math.comb(trials, n) * share**n * (1 - share) ** (trials - n) for n in outside)
        assert weight <= chance * (1 + 1e-9)

    @pytest.mark.parametrize(("v1", "met"), [(166, False), (167, True), (233, True), (234, False)])
    def test_a_share_within_the_bounds_meets_the_target(self, v1: int, *, met: bool) -> None:
        assert outcomes.split(load(v1=v1), revision="v1", percent=50).met is met

    def test_one_failure_misses_the_target_and_is_reported(self) -> None:
        got = outcomes.split(load(failures=1), revision="v1", percent=50)
        assert not got.met
        assert got.measured["failed"] == 1
        assert got.measured["first_failure"] == "503 b''"


class TestRolloutAndScaleOut:
    @pytest.mark.parametrize(("failures", "done", "met"), [(0, True, True), (1, True, False), (0, False, False)])
    def test_a_rollout_must_finish_without_failures(self, failures: int, *, done: bool, met: bool) -> None:
        assert outcomes.rollout(load(failures=failures), target="v2", done=done).met is met

    @pytest.mark.parametrize(
        ("failures", "pods", "met"), [(0, [(0.0, 0), (1.0, 2)], True), (0, [(1.0, 1)], False), (1, [(1.0, 2)], False)]
    )
    def test_a_burst_must_start_a_second_pod_without_failures(
        self, failures: int, pods: list[tuple[float, int]], *, met: bool
    ) -> None:
        assert outcomes.scale_out(load(failures=failures), pods=pods).met is met

    def test_a_burst_without_any_answer_is_reported(self) -> None:
        got = outcomes.scale_out(load(good=0, failures=3), pods=[])
        assert (got.measured["requests"], got.measured["most_pods"], got.met) == (3, 0, False)


class TestReport:
    found = (outcomes.cold_start([Pair(ours=1.61, floor=1.2)]), outcomes.split(load(), revision="v1", percent=50))

    def test_json_has_the_values_the_target_and_the_result_of_each_figure(self) -> None:
        written = json.loads(json.dumps(outcomes.document(self.found)))
        assert list(written) == ["cold_start", "split"]
        expected = {"ours_s": 1.61, "hello_world_s": 1.2, "difference_s": 0.41, "target": "difference <= 0.15 s"}
        assert written["cold_start"].items() >= {**expected, "met": False}.items()

    def test_the_table_has_a_row_for_each_figure_and_shows_a_missed_target(self) -> None:
        missed, kept = outcomes.table(self.found).splitlines()[2:]
        assert "| NO " in missed
        assert "by_v1 200, bounds 167 to 233" in kept

    def test_a_figure_that_fails_does_not_stop_the_others(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fails() -> Outcome:
            raise CannotMeasure("no such server")

        found, failed = measure_all({"rollout": fails, "split": lambda: self.found[1]})
        assert (found, failed) == ([self.found[1]], ["rollout"])
        assert "rollout cannot be measured: no such server" in capsys.readouterr().err


class TestFunctions:
    def test_hello_world_has_only_the_base_on_its_path_and_the_default_resources(self) -> None:
        (container,) = functions.hello_world(IMAGE)["spec"]["template"]["spec"]["containers"]
        assert container["env"] == [{"name": "PATH", "value": "/usr/local/bin:/usr/bin:/bin"}]
        (ours,) = template_of(FUNCTION)["spec"]["containers"]
        assert container["resources"] == ours["resources"]

    def test_the_burst_function_has_its_target_and_its_maximum_scale(self, tmp_path: Path) -> None:
        for name, text in functions.burst_function(IMAGE).items():
            (tmp_path / name).write_text(text)
        annotations = template_of(tmp_path)["metadata"]["annotations"]
        assert annotations["autoscaling.knative.dev/target"] == str(functions.BURST_TARGET)
        assert annotations["autoscaling.knative.dev/max-scale"] == str(functions.BURST_PODS)


def template_of(folder: Path) -> dict[str, Any]:
    """Return the template of the folder's first revision."""
    resources = read_resources(folder)
    options = deployment_options(func_yaml_of([folder], resources.models), environ={}, flags=Flags(image=IMAGE))
    service = next(step.manifest for step in desired(resources, options) if step.manifest["kind"] == "Service")
    template: dict[str, Any] = service["spec"]["template"]
    return template


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as two revisions alternately. /broken answers 503, and /gone closes the connection."""

    protocol_version = "HTTP/1.1"
    requests = 0

    def do_GET(self) -> None:
        if self.path == "/gone":
            self.close_connection = True
            return
        Handler.requests += 1
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(503 if self.path == "/broken" else 200)
        self.send_header("x-revision", f"v{1 + Handler.requests % 2}")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class TestRequests:
    def test_a_reply_has_the_revision_that_answered(self, url: str) -> None:
        reply = send_request(predict(url))
        assert reply.failure is None
        assert reply.revision in {"v1", "v2"}
        assert reply.seconds > 0

    def test_any_status_except_200_is_a_failure_with_the_body(self, url: str) -> None:
        assert send_request(Request(url=f"{url}/broken")).failure == "503 b'ok'"

    def test_a_closed_connection_is_a_failure_and_not_an_exception(self, url: str) -> None:
        assert "RemoteDisconnected" in str(send_request(Request(url=f"{url}/gone")).failure)

    def test_each_of_many_requests_is_counted_once_under_its_revision(self, url: str) -> None:
        got = send_requests(Request(url=url), 20, callers=1)
        assert (got.requests, got.failures, got.revisions) == (20, [], {"v1": 10, "v2": 10})

    def test_the_background_load_ends_with_its_block(self, url: str) -> None:
        pause = threading.Event()
        with background_load(Request(url=url), callers=2, pause=0.001) as load:
            pause.wait(0.2)
        first = load().requests
        pause.wait(0.1)
        assert first == load().requests > 2
