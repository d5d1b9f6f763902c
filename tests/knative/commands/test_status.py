"""The text output of `scalezero status`."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner

from knative.commands.status import age, rollout_of, show
from knative.deploying.report import EventObject, Model, Revision, Split
from knative.deploying.serving import Serving
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
        Split(
            name="m-ab",
            url="http://m-ab.shop.test",
            traffic={"m-v1": 100},
            state="Pending",
            reason="the traffic is moving",
        ),
    ),
)


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (timedelta(seconds=-3), "0s"),  # the clocks differ
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(hours=23), "23h"),
        (timedelta(days=400), "400d"),
    ],
)
def test_an_age_is_shown_in_its_largest_unit(elapsed: timedelta, expected: str) -> None:
    assert age((NOW - elapsed).isoformat(), NOW) == expected


def test_a_model_is_shown_with_its_revisions_splits_tags_rollout_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    show(MODEL, {"phase": "halted", "to": "m-v2", "reason": "", "step": 1}, now=NOW)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "m Ready http://m.shop.test",
        "REVISION VERSION TRAFFIC TAGS STATE PODS IMAGE AGE",
        "m-v1 1.0.0 100% v1 Ready 1/2 scalezero:0.1 1h",
        "m-v2 2.0.0 0% Failed 0/- scalezero:0.1 2s",
        "m-v2: there is no such object",
        "route m-ab Pending http://m-ab.shop.test m-v1 100% the traffic is moving",
        "tag v1 http://v1-m.shop.test",
        "rollout phase: halted to: m-v2",
        "",
    ]


def test_the_objects_for_the_events_of_a_model_are_shown_with_their_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    events = (
        EventObject(kind="Broker", name="default", state="Ready", reason="", detail="http://broker/shop/default"),
        EventObject(kind="Trigger", name="m", state="Failed", reason="BrokerNotReady: no disk", detail="a -> m"),
    )
    model = replace(MODEL, splits=(), revisions=MODEL.revisions[:1], events=events)
    show(model, None, now=NOW)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:5] == [
        "broker default  Ready  http://broker/shop/default",
        "trigger m  Failed  a -> m  BrokerNotReady: no disk",
    ]
    assert not model.is_ready
    assert replace(model, events=events[:1]).is_ready


def test_the_companions_of_a_revision_are_shown_with_their_versions(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = MODEL.revisions
    companions = {"reader": "1.0", "writer": "3.0"}
    show(replace(MODEL, revisions=(first, replace(second, companions=companions))), None, now=NOW)
    assert "m-v2: serves also reader 1.0, writer 3.0" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("existing", "expected"),
    [
        (("a", "b"), "it has a, b"),
        ((), "it has none; scalezero deploy FOLDER creates one"),
    ],
)
def test_an_unknown_model_is_refused_with_the_existing_models(
    tmp_path: Path, existing: tuple[str, ...], expected: str
) -> None:
    services = json.dumps(
        {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": n}} for n in existing]}
    )

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path.endswith("/services/nope"):
            send(request, 404, status(404, "NotFound", name="nope", kind="services"))
        else:
            send(request, 200, services.encode())

    with cluster(tmp_path, answer):
        environ = {"KUBECONFIG": str(tmp_path / "kubeconfig")}
        result = CliRunner().invoke(scalezero, ["status", "nope"], env=environ)
    assert result.exit_code == 2
    assert result.output == f"scalezero: no model 'nope' in namespace shop of mine: {expected}\n"


def service(**annotations: str) -> Manifest:
    return {"metadata": {"name": "m", "annotations": annotations}}


def test_an_invalid_record_of_a_rollout_has_the_phase_unknown() -> None:
    rollout = rollout_of(service(**{"scalezero.dev/rollout": "{"}))
    assert rollout is not None
    assert rollout["phase"] == "unknown"


def test_a_service_without_a_rollout_has_none() -> None:
    assert rollout_of(service()) is None


def test_the_pinned_variants_and_what_pods_serve_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    serving = Serving(variant="original", provider="CPUExecutionProvider", cpu_class="arm-i8mm")
    revision = replace(
        MODEL.revisions[0],
        variants={"intel-amx": ("int8-nncf-openvino", "int8-dynamic", "original"), "amd-avx2": ("original",)},
        serving={"m-v1-abc": serving},
    )
    show(replace(MODEL, revisions=(revision,)), None, now=NOW)
    lines = capsys.readouterr().out.splitlines()
    assert "m-v1: on intel-amx int8-nncf-openvino, else int8-dynamic, else original" in lines
    assert "m-v1: on amd-avx2 original" in lines
    assert "m-v1: pod m-v1-abc serves original on CPUExecutionProvider, arm-i8mm" in lines
