"""Tests of rollouts on the real cluster: no failed requests, rollback after failures, conflicts with kn."""

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from knative.objects import Ref
from knative.rollout.machine import State
from knative.rollout.reading import live_split
from knative.rollout.record import find
from tests.e2e.functions import payment_model
from tests.e2e.load import client, load
from tests.e2e.namespace import SCALEZERO, Namespace, wait_until

MODEL, V1, V2, BROKEN = "payment-model", "payment-model-v1", "payment-model-v2", "payment-model-broken"
PAYMENT = {"amount": 912.5, "merchant_category": "electronics", "hour": 3, "weekday": 6}
SHORT_INTERVAL = ("--interval", "4")
READY = 180.0  # seconds for a revision, or for a split


@pytest.fixture(scope="module")
def model(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    own.scalezero("deploy", payment_model(tmp_path_factory.mktemp("rollout")))
    return own


@pytest.fixture
def stable(model: Namespace) -> Namespace:
    """All traffic goes to v1, set by kn, and no rollout is in progress."""
    set_split(model, v1=100, v2=0)
    if (state := recorded(model)) and not state.is_over:
        model.kubectl("annotate", "ksvc", MODEL, "scalezero.dev/rollout-")
    return model


def set_split(namespace: Namespace, **shares: int) -> None:
    namespace.kn("service", "update", MODEL, "--traffic", ",".join(f"{tag}={share}" for tag, share in shares.items()))


def split(namespace: Namespace) -> dict[str, int]:
    return dict(live_split(namespace.get("Service", MODEL)))


def recorded(namespace: Namespace) -> State | None:
    return find(namespace.get("Service", MODEL))


@contextmanager
def running(namespace: Namespace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a rollout in a new process; kill it at the end of the block if it still runs."""
    command = [str(SCALEZERO), "rollout", MODEL, *arguments, "-n", namespace.name]
    with subprocess.Popen(
        command,
        env=namespace.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell ignores Ctrl-C in its background jobs; the default handler makes the process behave as at a terminal.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no locks are held
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_exit(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=READY)
    return process.returncode, out


def wait_for_share(namespace: Namespace, revision: str, percent: int) -> None:
    wait_until(
        f"{revision} has {percent} %",
        lambda: split(namespace).get(revision, 0) == percent and namespace.condition("Service", MODEL, "RoutesReady"),
        seconds=READY,
    )


def test_no_request_fails_during_a_rollout(stable: Namespace) -> None:
    """Every request is answered, each step is applied, and the template and the tags do not change."""
    before = stable.get("Service", MODEL)["spec"]
    with load(stable.url(MODEL)) as tally:
        wait_until("v1 answers", lambda: tally.by_revision()[V1], seconds=READY)
        output = stable.scalezero(
            "rollout", MODEL, "--to", "2.0.0", "--steps", "10,50,100", *SHORT_INTERVAL, "-o", "json"
        )
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1, V2}
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert [each["split"].get(V2, 0) for each in events if each["event"] == "shift"] == [10, 50, 100]
    assert events[-1]["event"] == "finish"
    assert events[-1]["target"]["requests"] > 0
    assert events[-1]["target"]["errors"] == 0
    passed = [each["step"] for each in events if each["step"]]
    assert [each["percent"] for each in passed] == [10, 50, 100]
    assert passed[-1]["judged"]
    assert (events[-1]["judgedSteps"], events[-1]["steps"]) == (sum(each["judged"] for each in passed), 3)
    after = stable.get("Service", MODEL)["spec"]
    assert after["template"] == before["template"]
    assert tags(after) == tags(before)
    assert split(stable) == {V2: 100}


def tags(spec: dict[str, Any]) -> dict[str, str]:
    return {each["tag"]: each["revisionName"] for each in spec["traffic"] if "tag" in each}


def test_no_request_fails_during_a_rollout_by_kn(stable: Namespace) -> None:
    with load(stable.url(MODEL)) as tally:
        for share in (10, 50, 100):
            set_split(stable, v1=100 - share, v2=share)
    assert tally.failures == []
    assert split(stable) == {V2: 100}


def test_a_failing_revision_is_rolled_back_automatically(stable: Namespace) -> None:
    """The new revision's function raises for every payment. Its model, its probes and its conditions are healthy."""
    break_function(stable)
    with payments(stable.url(MODEL)) as statuses:
        output = stable.scalezero("rollout", MODEL, "--to", "broken", "--steps", "50,100", "--interval", "60", code=1)
    assert "requests failed" in output
    assert split(stable) == {V1: 100}
    state = recorded(stable)
    assert state is not None
    assert (state.target, state.phase) == (BROKEN, "rolled_back")
    assert statuses[500] > 0
    assert "rolled_back" in stable.scalezero("status", MODEL)


def break_function(namespace: Namespace) -> None:
    """Create a revision with an entry point that cannot handle requests: `decide` in main.py expects a number."""
    add_revision(namespace, BROKEN, variable="FUNCTION_TARGET", value="decide")
    wait_until("the broken revision is Ready", lambda: ready(namespace, BROKEN) == "True", seconds=READY)


def add_revision(namespace: Namespace, name: str, *, variable: str, value: str) -> None:
    """Create a revision with another value of one variable. The split by revisions does not change."""
    template = namespace.get("Service", MODEL)["spec"]["template"]
    template["metadata"]["name"] = name
    for each in template["spec"]["containers"][0]["env"]:
        if each["name"] == variable:
            each["value"] = value
    namespace.kubectl("patch", "ksvc", MODEL, "--type=merge", "-p", json.dumps({"spec": {"template": template}}))


def ready(namespace: Namespace, revision: str) -> str:
    """Return the status of a revision's Ready condition, empty if it does not exist yet."""
    exists = namespace.cluster.get(Ref("Revision", revision))
    return namespace.condition("Revision", revision, "Ready").get("status", "") if exists else ""


@contextmanager
def payments(url: str) -> Iterator[Counter[int]]:
    """Call the author's function until the block ends; yield the number of answers by status."""
    statuses: Counter[int] = Counter()
    stopped = threading.Event()

    def call() -> None:
        with client() as session:
            while not stopped.wait(0.05):
                statuses[session.post(url, json=PAYMENT).status_code] += 1

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def test_a_killed_rollout_is_resumed_by_the_next_command(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        wait_for_share(stable, V2, 30)
        process.kill()
    assert split(stable) == {V1: 70, V2: 30}
    output = stable.scalezero("rollout", MODEL, "--to", "v2", *SHORT_INTERVAL)
    assert "continuing the rollout to payment-model-v2 with the steps 30,100" in output
    assert output.count("shifted") == 1
    assert split(stable) == {V2: 100}


def test_ctrl_c_keeps_the_split_and_abort_rolls_back(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        wait_for_share(stable, V2, 30)
        os.kill(process.pid, signal.SIGINT)
        code, output = wait_for_exit(process)
    assert code == 130
    assert "the split stays at 70 % payment-model-v1, 30 % payment-model-v2" in output
    assert split(stable) == {V1: 70, V2: 30}
    assert "rolled back" in stable.scalezero("rollout", MODEL, "--abort")
    assert split(stable) == {V1: 100}


def test_a_split_that_kn_changes_during_a_rollout_is_kept(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        wait_for_share(stable, V2, 30)
        set_split(stable, v1=15, v2=85)
        code, output = wait_for_exit(process)
    assert code == 1
    assert "the split was changed by kn" in output
    assert split(stable) == {V1: 15, V2: 85}
    assert "kn" in stable.scalezero("rollout", MODEL, "--to", "v2", code=2)
    stable.scalezero("rollout", MODEL, "--to", "v2", "--steps", "100", "--adopt", "--interval", "1")
    assert split(stable) == {V2: 100}


def test_abort_after_kn_has_changed_the_split_ends_the_rollout_and_keeps_the_split(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        wait_for_share(stable, V2, 30)
        process.kill()
    set_split(stable, v1=15, v2=85)
    output = stable.scalezero("rollout", MODEL, "--to", "v1", code=2)
    assert f"scalezero rollout payment-model --abort -n {stable.name}" in output
    assert "split set by kn" in stable.scalezero("rollout", MODEL, "--abort")
    assert split(stable) == {V1: 15, V2: 85}
    output = stable.scalezero("rollout", MODEL, "--to", "v1", "--steps", "10,15,100", "--interval", "1")
    assert "10 and 15 % are skipped" in output
    assert "100 % not judged: 0 of 20 requests" in output
    assert output.rstrip().endswith("0 of 1 steps judged")
    assert split(stable) == {V1: 100}


def test_a_second_command_takes_over_and_the_first_stops(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "50,100", "--interval", "60") as first:
        wait_for_share(stable, V2, 50)
        with running(stable, "--to", "v2", *SHORT_INTERVAL) as second:
            code, output = wait_for_exit(first)
            assert code == 1
            assert "another command has taken over" in output
            assert wait_for_exit(second)[0] == 0
    assert split(stable) == {V2: 100}


def test_a_dry_run_changes_nothing(stable: Namespace) -> None:
    before = stable.get("Service", MODEL)
    output = stable.scalezero("rollout", MODEL, "--to", "v2", "--dry-run")
    assert "95 % payment-model-v1, 5 % payment-model-v2" in output
    after = stable.get("Service", MODEL)
    assert (after["spec"], after["metadata"].get("annotations")) == (
        before["spec"],
        before["metadata"].get("annotations"),
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "v9"), "available: payment-model-"),
        (("--to", "v2", "--steps", "50,5"), "from 1 to 100"),
        (("--abort",), "no rollout of payment-model is under way"),
        ((), "a revision, or --abort"),
    ],
)
def test_invalid_arguments_are_refused_with_a_message(
    stable: Namespace, arguments: tuple[str, ...], message: str
) -> None:
    assert message in stable.scalezero("rollout", MODEL, *arguments, code=2)


def test_a_revision_that_never_starts_gets_no_traffic(stable: Namespace) -> None:
    failing = "payment-model-lost"
    add_revision(stable, failing, variable="SCALEZERO_MODEL_URI", value="s3://models/there-is-no-such.onnx")
    wait_until("the failing revision exists", lambda: stable.cluster.get(Ref("Revision", failing)), seconds=READY)
    output = stable.scalezero("rollout", MODEL, "--to", "lost", "--timeout", "8", code=1)
    assert "shifted" not in output
    assert "rolled back  100 % payment-model-v1; " in output
    assert split(stable) == {V1: 100}
