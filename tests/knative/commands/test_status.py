"""How a model stands, as a person reads it."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner

from knative.commands.status import age, rollout_of, show
from knative.deploying.report import Model, Revision, Split
from knative.objects import Manifest
from runtime.cli import scalezero
from tests.knative.api.test_client import cluster, status
from tests.knative.api.test_connection import send

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
MODEL = Model(
    name="m",
    namespace="shop",
    url="http://m.shop.test",
    tag_urls={"v1": "http://v1-m.shop.test"},
    state="Ready",
    reason="",
    revisions=(
        Revision(
            name="m-v1",
            version="1.0.0",
            percent=100,
            tags=("v1",),
            state="Ready",
            reason="",
            pods=1,
            wanted=2,
            image="scalezero:0.1",
            created="2026-11-23T17:00:00Z",
        ),
        Revision(
            name="m-v2",
            version="2.0.0",
            percent=0,
            tags=(),
            state="Failed",
            reason="there is no such object",
            pods=0,
            wanted=None,
            image="scalezero:0.1",
            created="2026-11-23T17:59:58Z",
        ),
    ),
    splits=(
        Split(name="m-ab", url="http://m-ab.shop.test", traffic={"m-v1": 100}, state="Pending", reason="it moves"),
    ),
)


@pytest.mark.parametrize(
    ("old", "told"),
    [
        (timedelta(seconds=-3), "0s"),  # another clock
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(hours=23), "23h"),
        (timedelta(days=400), "400d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(old: timedelta, told: str) -> None:
    assert age((NOW - old).isoformat(), NOW) == told


def test_a_model_is_told_with_all_that_is_wrong_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    show(MODEL, {"phase": "halted", "to": "m-v2", "reason": "", "step": 1}, now=NOW)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "m Ready http://m.shop.test",
        "REVISION VERSION TRAFFIC TAGS STATE PODS IMAGE AGE",
        "m-v1 1.0.0 100% v1 Ready 1/2 scalezero:0.1 1h",
        "m-v2 2.0.0 0% Failed 0/- scalezero:0.1 2s",
        "m-v2: there is no such object",
        "route m-ab Pending http://m-ab.shop.test m-v1 100% it moves",
        "tag v1 http://v1-m.shop.test",
        "rollout phase: halted to: m-v2",
        "",
    ]


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        (("a", "b"), "a model of namespace shop of mine, which has a, b"),
        ((), "none, as namespace shop of mine has no models"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, there: tuple[str, ...], sentence: str
) -> None:
    services = json.dumps({"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": n}} for n in there]})

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/services/nope"):
            send(request, 404, status(404, "NotFound", name="nope", kind="services"))
        else:
            send(request, 200, services.encode())

    with cluster(tmp_path, answer):
        environ = {"KUBECONFIG": str(tmp_path / "kubeconfig")}
        result = CliRunner().invoke(scalezero, ["status", "nope"], env=environ)
    assert result.exit_code == 2
    assert result.output == f"scalezero: MODEL='nope': expected {sentence}\n"


def service(**annotations: str) -> Manifest:
    return {"metadata": {"name": "m", "annotations": annotations}}


def test_a_rollouts_record_that_cannot_be_read_is_told_and_hides_nothing_else() -> None:
    told = rollout_of(service(**{"scalezero.dev/rollout": "{"}))
    assert told is not None
    assert told["phase"] == "unknown"


def test_a_service_without_a_rollout_has_none() -> None:
    assert rollout_of(service()) is None
