"""Rollouts on the real cluster: no caller notices, what fails comes back, and nobody else's split is written over."""

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
from tests.e2e.namespace import SCALEZERO, Namespace, until

MODEL, V1, V2, BROKEN = "payment-model", "payment-model-v1", "payment-model-v2", "payment-model-broken"
PAYMENT = {"amount": 912.5, "merchant_category": "electronics", "hour": 3, "weekday": 6}
QUICK = ("--interval", "4")
READY = 120.0  # seconds for a revision, or for a split


@pytest.fixture(scope="module")
def model(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    own.scalezero("deploy", payment_model(tmp_path_factory.mktemp("rollout")))
    return own


@pytest.fixture
def stable(model: Namespace) -> Namespace:
    """Everything goes to v1, by kn's hand, and no rollout is under way."""
    set_split(model, v1=100, v2=0)
    if (state := recorded(model)) and not state.is_over:
        model.kubectl("annotate", "ksvc", MODEL, "scalezero.dev/rollout-")
    return model


def set_split(place: Namespace, **shares: int) -> None:
    place.kn("service", "update", MODEL, "--traffic", ",".join(f"{tag}={share}" for tag, share in shares.items()))


def split(place: Namespace) -> dict[str, int]:
    return dict(live_split(place.get("Service", MODEL)))


def recorded(place: Namespace) -> State | None:
    return find(place.get("Service", MODEL))


@contextmanager
def running(place: Namespace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A rollout in a process of its own; it ends with the block at the latest."""
    command = [str(SCALEZERO), "rollout", MODEL, *arguments, "-n", place.name]
    with subprocess.Popen(
        command,
        env=place.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As at a terminal, also where these tests run in the background of a shell, which has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no locks are held
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, _ = process.communicate(timeout=READY)
    return process.returncode, out


def has(place: Namespace, revision: str, percent: int) -> None:
    until(
        f"{revision} has {percent} %",
        lambda: split(place).get(revision, 0) == percent and place.condition("Service", MODEL, "RoutesReady"),
        seconds=READY,
    )


def test_no_caller_notices_a_rollout(stable: Namespace) -> None:
    """Every request is answered, each step is taken, the template stays, and the tags stay where they were."""
    before = stable.get("Service", MODEL)["spec"]
    with load(stable.url(MODEL)) as tally:
        until("v1 answers", lambda: tally.by_revision()[V1], seconds=READY)
        said = stable.scalezero("rollout", MODEL, "--to", "2.0.0", "--steps", "10,50,100", *QUICK, "-o", "json")
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1, V2}
    events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
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


def test_no_caller_notices_a_rollout_by_knatives_own_command(stable: Namespace) -> None:
    with load(stable.url(MODEL)) as tally:
        for share in (10, 50, 100):
            set_split(stable, v1=100 - share, v2=share)
    assert tally.failures == []
    assert split(stable) == {V2: 100}


def test_what_fails_comes_back_by_itself(stable: Namespace) -> None:
    """The new revision's function raises for every payment; its model, its probes and its conditions are fine."""
    break_function(stable)
    with payments(stable.url(MODEL)) as statuses:
        said = stable.scalezero("rollout", MODEL, "--to", "broken", "--steps", "50,100", "--interval", "60", code=1)
    assert "requests failed" in said
    assert split(stable) == {V1: 100}
    state = recorded(stable)
    assert state is not None
    assert (state.target, state.phase) == (BROKEN, "rolled_back")
    assert statuses[500] > 0
    assert "rolled_back" in stable.scalezero("status", MODEL)


def break_function(place: Namespace) -> None:
    """Make a revision whose function takes no request: main.py's `decide` compares a number."""
    add_revision(place, BROKEN, variable="FUNCTION_TARGET", value="decide")
    until("the broken revision is Ready", lambda: ready(place, BROKEN) == "True", seconds=READY)


def add_revision(place: Namespace, name: str, *, variable: str, value: str) -> None:
    """Have Knative make a revision that differs in one variable; a split by revisions stays as it is."""
    template = place.get("Service", MODEL)["spec"]["template"]
    template["metadata"]["name"] = name
    for each in template["spec"]["containers"][0]["env"]:
        if each["name"] == variable:
            each["value"] = value
    place.kubectl("patch", "ksvc", MODEL, "--type=merge", "-p", json.dumps({"spec": {"template": template}}))


def ready(place: Namespace, revision: str) -> str:
    """A revision's condition Ready; empty where there is none yet."""
    there = place.cluster.get(Ref("Revision", revision))
    return place.condition("Revision", revision, "Ready").get("status", "") if there else ""


@contextmanager
def payments(url: str) -> Iterator[Counter[int]]:
    """Have the author's function asked until the block ends; how often it answered with which status."""
    statuses: Counter[int] = Counter()
    over = threading.Event()

    def call() -> None:
        with client() as session:
            while not over.wait(0.05):
                statuses[session.post(url, json=PAYMENT).status_code] += 1

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_killed_rollout_goes_on_where_it_was(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        has(stable, V2, 30)
        process.kill()
    assert split(stable) == {V1: 70, V2: 30}
    said = stable.scalezero("rollout", MODEL, "--to", "v2", *QUICK)
    assert "continuing the rollout to payment-model-v2 with the steps 30,100" in said
    assert said.count("shifted") == 1
    assert split(stable) == {V2: 100}


def test_ctrl_c_leaves_the_split_and_says_how_to_go_on_and_abort_goes_back(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        has(stable, V2, 30)
        os.kill(process.pid, signal.SIGINT)
        code, said = ended(process)
    assert code == 130
    assert "the split stays at 70 % payment-model-v1, 30 % payment-model-v2" in said
    assert split(stable) == {V1: 70, V2: 30}
    assert "rolled back" in stable.scalezero("rollout", MODEL, "--abort")
    assert split(stable) == {V1: 100}


def test_a_split_that_kn_changes_meanwhile_stays_kns(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        has(stable, V2, 30)
        set_split(stable, v1=15, v2=85)
        code, said = ended(process)
    assert code == 1
    assert "the split was changed by kn" in said
    assert split(stable) == {V1: 15, V2: 85}
    assert "kn" in stable.scalezero("rollout", MODEL, "--to", "v2", code=2)
    stable.scalezero("rollout", MODEL, "--to", "v2", "--steps", "100", "--adopt", "--interval", "1")
    assert split(stable) == {V2: 100}


def test_giving_up_after_kn_has_changed_the_split_forgets_the_rollout_and_leaves_the_split(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "30,100", "--interval", "60") as process:
        has(stable, V2, 30)
        process.kill()
    set_split(stable, v1=15, v2=85)
    said = stable.scalezero("rollout", MODEL, "--to", "v1", code=2)
    assert f"scalezero rollout payment-model --abort -n {stable.name}" in said
    assert "split set by kn" in stable.scalezero("rollout", MODEL, "--abort")
    assert split(stable) == {V1: 15, V2: 85}
    said = stable.scalezero("rollout", MODEL, "--to", "v1", "--steps", "10,15,100", "--interval", "1")
    assert "10 and 15 % are skipped" in said
    assert "100 % not judged: 0 of 20 requests" in said
    assert said.rstrip().endswith("0 of 1 steps judged")
    assert split(stable) == {V1: 100}


def test_of_two_commands_at_once_one_stops(stable: Namespace) -> None:
    with running(stable, "--to", "v2", "--steps", "50,100", "--interval", "60") as first:
        has(stable, V2, 50)
        with running(stable, "--to", "v2", *QUICK) as second:
            code, said = ended(first)
            assert code == 1
            assert "another command has taken over" in said
            assert ended(second)[0] == 0
    assert split(stable) == {V2: 100}


def test_a_dry_run_changes_nothing(stable: Namespace) -> None:
    before = stable.get("Service", MODEL)
    said = stable.scalezero("rollout", MODEL, "--to", "v2", "--dry-run")
    assert "95 % payment-model-v1, 5 % payment-model-v2" in said
    after = stable.get("Service", MODEL)
    assert (after["spec"], after["metadata"].get("annotations")) == (
        before["spec"],
        before["metadata"].get("annotations"),
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--to", "v9"), "available: payment-model-"),
        (("--to", "v2", "--steps", "50,5"), "from 1 to 100"),
        (("--abort",), "no rollout of payment-model is under way"),
        ((), "a revision, or --abort"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(stable: Namespace, arguments: tuple[str, ...], sentence: str) -> None:
    assert sentence in stable.scalezero("rollout", MODEL, *arguments, code=2)


def test_a_revision_that_never_comes_up_gets_nothing(stable: Namespace) -> None:
    lost = "payment-model-lost"
    add_revision(stable, lost, variable="SCALEZERO_MODEL_URI", value="s3://models/there-is-no-such.onnx")
    until("the lost revision is there", lambda: stable.cluster.get(Ref("Revision", lost)), seconds=READY)
    said = stable.scalezero("rollout", MODEL, "--to", "lost", "--timeout", "8", code=1)
    assert "shifted" not in said
    assert "rolled back  100 % payment-model-v1; " in said
    assert split(stable) == {V1: 100}
