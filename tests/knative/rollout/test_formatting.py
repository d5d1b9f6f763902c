"""The progress of a rollout as text, JSON and YAML."""

import json
import math

import pytest
import yaml

from knative.rollout import formatting
from knative.rollout.judgement import Limits, Sample
from knative.rollout.machine import StepVerdict, begin
from knative.rollout.run import Progress
from knative.rollout.split import Share, split_from

SPLIT = (Share("m-v1", 95), Share("m-v2", 5))
SHIFT = Progress(
    1_795_455_662.25,
    "shift",
    SPLIT,
    "",
    Sample(100, 1, ((0.01, 99), (math.inf, 0))),
    Sample(5, 0, ((0.01, 0), (math.inf, 5)), 2),
)
WARM = Progress(1_795_455_662.25, "warm", SPLIT, "it has no ready pod yet")


def test_a_line_has_the_event_its_reason_and_the_samples_of_the_step() -> None:
    assert formatting.line(SHIFT)[8:] == (
        "  shifted      95 % m-v1, 5 % m-v2; requests so far: 100 (1 failed, p95 9.5 ms), "
        "other revisions: 5 (0 failed, p95 over the last bucket, 2 restarts)"
    )
    assert formatting.line(WARM)[8:] == "  warming      95 % m-v1, 5 % m-v2; it has no ready pod yet"


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (StepVerdict(5, 7, 20), "5 % not judged: 7 of 20 requests"),
        (StepVerdict(5, 20, 20), "5 % judged by 20 requests"),
    ],
)
def test_a_completed_step_is_shown_with_whether_it_was_judged(verdict: StepVerdict, expected: str) -> None:
    assert f"5 % m-v2; {expected}; requests so far" in formatting.line(SHIFT._replace(verdict=verdict))
    step = formatting.values(SHIFT._replace(verdict=verdict))["step"]
    assert step == {
        "percent": 5,
        "judged": verdict.requests == 20,
        "requests": verdict.requests,
        "neededRequests": 20,
    }


def test_the_last_line_has_the_number_of_judged_steps() -> None:
    done = SHIFT._replace(verb="finish", verdict=StepVerdict(100, 0, 20), judged=1, steps=4)
    assert "; 100 % not judged: 0 of 20 requests; " in formatting.line(done)
    assert formatting.line(done).endswith("; 1 of 4 steps judged")
    values = formatting.values(done)
    assert (values["judgedSteps"], values["steps"]) == (1, 4)


def test_a_wait_is_shown_without_samples() -> None:
    assert "answered" not in formatting.line(SHIFT._replace(verb="wait", why="the Route has not applied it yet"))


def test_json_and_yaml_have_plain_values() -> None:
    expected = {
        "time": "2026-11-23T17:41:02.250Z",
        "event": "shift",
        "split": {"m-v1": 95, "m-v2": 5},
        "why": "",
        "target": {"requests": 100, "errors": 1, "restarts": 0, "p95Seconds": 0.0095},
        "others": {"requests": 5, "errors": 0, "restarts": 2, "p95Seconds": None},
        "step": None,
        "judgedSteps": 0,
        "steps": 0,
    }
    text = formatting.written(formatting.values(SHIFT), "json")
    assert json.loads(text) == expected
    assert "\n" not in text
    both = "\n".join(
        [formatting.written(formatting.values(SHIFT), "yaml"), formatting.written(formatting.values(WARM), "yaml")]
    )
    assert [each["event"] for each in yaml.safe_load_all(both)] == ["shift", "warm"]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0, ""),
        (5, "m-v2 had 5 % of the traffic at the start: 5 % is skipped"),
        (50, "m-v2 had 50 % of the traffic at the start: 5, 25 and 50 % are skipped"),
    ],
)
def test_skipped_steps_are_reported(share: int, expected: str) -> None:
    stable = split_from([("m-v1", 100 - share), ("m-v2", share)])
    assert (
        formatting.skipped_steps(begin("m-v2", stable=stable, steps=(5, 25, 50, 100), limits=Limits(), now=0))
        == expected
    )


def test_a_schedule_has_a_time_and_a_split_for_each_step() -> None:
    state = begin("m-v2", stable=(Share("m-v1", 100),), steps=(5, 100), limits=Limits(interval=90), now=0)
    assert formatting.schedule_lines(state) == [
        "warm m-v2, now at 100 % m-v1",
        "    +0:00  95 % m-v1, 5 % m-v2",
        "    +1:30  100 % m-v2",
        "    +3:00  done, if no step fails",
    ]
    assert formatting.schedule_values(state) == [
        {"afterSeconds": 0, "split": {"m-v1": 95, "m-v2": 5}},
        {"afterSeconds": 90, "split": {"m-v2": 100}},
    ]
