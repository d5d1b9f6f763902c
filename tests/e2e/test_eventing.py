"""The objects for events through `apply`, `plan`, `status` and `delete`, on a cluster with Knative Eventing.

A SinkBinding writes variables into the template of its Service. What Knative makes of that decides when a binding may
change, so it is tested here and not with objects in memory.
"""

import json
from pathlib import Path

import pytest

from knative.api.errors import EventingMissing
from knative.objects import Ref
from tests.e2e.namespace import Namespace, wait_until
from tests.e2e.test_apply import model, shares

CONFIG = """\
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {{name: logged-config}}
spec:
  events:
    createBroker: true
    triggers: [{{type: {type}}}]
    delivery: {{deadLetterSink: {{uri: http://dead.example.com}}}}
    sequence: {{steps: [logged], reply: {{broker: default}}}}
    predictions: {{sink: {sink}, extensions: {{team: risk}}}}
"""
BROKER = "{broker: default}"
OTHER = '{uri: "http://predictions.example.com/in"}'


def logged(
    folder: Path, *, kind: str = "com.example.created", sink: str = BROKER, versions: tuple[int, ...] = (1,)
) -> Path:
    made = model(folder, "logged", versions=versions, split=False)
    (made / "config.yaml").write_text(CONFIG.format(type=kind, sink=sink))
    return made


def sink(own: Namespace, revision: str) -> str | None:
    """Return the address that the SinkBinding gave to a revision."""
    (container,) = own.get("Revision", revision)["spec"]["containers"]
    return next((each["value"] for each in container["env"] if each["name"] == "K_SINK"), None)


@pytest.fixture(scope="module")
def folder(
    own: Namespace, deployed: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Path:  # `deployed` publishes
    """The deployed function `logged` with all objects for its events."""
    try:
        own.cluster.list("Trigger")
    except EventingMissing:
        pytest.skip("the cluster has no Knative Eventing: scripts/cluster up --eventing")
    made = logged(tmp_path_factory.mktemp("logged"))
    own.scalezero("apply", "-f", made)
    return made


def test_a_revision_has_the_address_of_the_sink_and_a_second_plan_is_empty(own: Namespace, folder: Path) -> None:
    assert sink(own, "logged-v1") == own.get("Broker", "default")["status"]["address"]["url"]
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"


def test_status_shows_each_object_with_its_state(own: Namespace, folder: Path) -> None:
    (status,) = json.loads(own.scalezero("status", "logged", "-o", "json"))
    assert [(each["kind"], each["name"], each["state"]) for each in status["events"]] == [
        ("Broker", "default", "Ready"),
        ("SinkBinding", "logged", "Ready"),
        ("Sequence", "logged", "Ready"),
        ("Trigger", "logged", "Ready"),
    ]


def test_a_trigger_changes_without_a_new_revision_and_what_left_the_files_is_removed(
    own: Namespace, folder: Path
) -> None:
    own.scalezero("apply", "-f", logged(folder, kind="com.example.changed"))
    config = (folder / "config.yaml").read_text()
    assert own.get("Trigger", "logged")["spec"]["filter"] == {"attributes": {"type": "com.example.changed"}}
    (folder / "config.yaml").write_text(
        config.replace("type: com.example.changed", "filter: {attributes: {source: a}}")
    )
    assert "~ trigger/logged  change" in own.scalezero("plan", "-f", folder)
    own.scalezero("apply", "-f", folder)
    assert own.get("Trigger", "logged")["spec"]["filter"] == {"attributes": {"source": "a"}}
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"


def test_another_sink_needs_another_version_and_traffic_still_moves(own: Namespace, folder: Path) -> None:
    output = own.scalezero("plan", "-f", logged(folder, sink=OTHER), code=2)
    assert "! sinkbinding/logged  refuse: it changes the variables of a revision" in output
    own.scalezero("apply", "-f", logged(folder, sink=OTHER, versions=(1, 2)))
    assert sink(own, "logged-v2") == "http://predictions.example.com/in"
    own.kn("service", "update", "logged", "--traffic", "logged-v1=40", "--traffic", "logged-v2=60")
    wait_until("the traffic moved", lambda: shares(own, "logged") == {"logged-v1": 40, "logged-v2": 60}, seconds=180)
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"


def test_a_trigger_without_its_broker_says_what_it_waits_for(own: Namespace, folder: Path) -> None:
    """Knative writes no status for it."""
    manifest = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": "other", "namespace": own.name},
        "spec": {"broker": "missing", "subscriber": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "logged"}}},
    }
    own.kubectl("apply", "-f", "-", given=json.dumps(manifest))
    line = (
        "trigger other  Pending  missing -> logged  waiting for Knative to reconcile it, which needs the Broker missing"
    )
    assert line in own.scalezero("status", "logged", code=1)
    own.kubectl("delete", "trigger", "other")


def test_delete_removes_all_of_it(own: Namespace, folder: Path) -> None:
    output = own.scalezero("delete", "logged")
    for ref in ("trigger/logged", "sequence/logged", "service/logged", "sinkbinding/logged", "broker/default"):
        assert f"{ref}: deleted" in output
    assert own.cluster.get(Ref("SinkBinding", "logged")) is None


def test_what_left_the_files_is_deleted_and_a_revision_without_the_binding_takes_traffic(
    own: Namespace, folder: Path
) -> None:
    own.scalezero("apply", "-f", logged(folder))
    model(folder, "logged", versions=(1, 2), split=False)
    (folder / "config.yaml").unlink()
    deleted = ("sinkbinding/logged", "trigger/logged", "sequence/logged")
    plan = own.scalezero("plan", "-f", folder)
    output = own.scalezero("apply", "-f", folder)
    for ref in deleted:
        assert f"- {ref}  delete" in plan
        assert f"{ref}: deleted" in output
    assert (sink(own, "logged-v1") is None, sink(own, "logged-v2")) == (False, None)
    binding = Ref("SinkBinding", "logged")
    wait_until("the binding is gone", lambda: own.cluster.get(binding) is None, seconds=60)
    own.kn("service", "update", "logged", "--traffic", "logged-v1=40", "--traffic", "logged-v2=60")
    wait_until("the traffic moved", lambda: shares(own, "logged") == {"logged-v1": 40, "logged-v2": 60}, seconds=180)
    assert own.cluster.get(Ref("Trigger", "logged")) is None
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"
