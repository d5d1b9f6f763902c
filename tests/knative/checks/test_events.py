"""The rules for events: no event causes itself again, failed events are kept, and what they need exists."""

from dataclasses import replace
from pathlib import Path

import pytest

from knative.checks.finding import Finding
from knative.checks.subject import Facts
from knative.function.source import defined_names
from tests.knative.checks.cases import Case, check, events_edit

DEAD = "delivery: {deadLetterSink: {function: dead}}"
SUBSCRIBED = ("deploy:", "deploy:\n  subscriptions: [{source: default, filters: {type: a}}]")


def found(
    folder: Path, events: str, code: str, *, facts: Facts | None = None, source: str | None = None
) -> list[Finding]:
    case = Case(models=(events_edit(events),), facts=facts or Facts())
    if source is not None:
        case = replace(case, handler=True, source=source)
    return [each for each in check(case, folder) if each.code == code]


@pytest.mark.parametrize(
    ("events", "count"),
    [
        ("{triggers: [{}]}", 1),
        ("{triggers: [{}], replyType: none}", 0),
        ("{triggers: [{type: a}], replyType: a}", 1),
        ("{triggers: [{type: b}], replyType: a}", 0),
        ("{triggers: [{filters: [{prefix: {type: ml.}}]}]}", 1),
        ("{triggers: [{filters: [{prefix: {type: com.}}]}]}", 0),
        ("{triggers: [{filters: [{not: {exact: {source: payment-model}}}]}]}", 0),
        ("{triggers: [{filters: [{not: {exact: {source: other}}}]}]}", 1),
        ("{triggers: [{filters: [{cesql: \"type = 'a'\"}]}]}", 0),
        ("{triggers: [{filter: {attributes: {subject: a}}}]}", 0),
        ("{triggers: [{}], sequence: {steps: [payment-model]}}", 0),
        ("{triggers: [{}], sequence: {steps: [payment-model], reply: {broker: default}}}", 1),
        ("{triggers: [{}], sequence: {steps: [payment-model], reply: {broker: other}}}", 0),
        ("{triggers: [{}], sequence: {steps: [payment-model, b], reply: {broker: default}}}", 0),
        ("{triggers: [{}], replyType: none, predictions: {sink: {broker: default}}}", 1),
        ("{triggers: [{}], replyType: none, predictions: {sink: {broker: logs}}}", 0),
        ("{triggers: [{type: a}], predictions: {sink: {broker: default}}}", 0),
    ],
)
def test_an_answer_must_not_pass_the_filters_of_its_own_trigger(events: str, count: int, tmp_path: Path) -> None:
    """A loop is reported only if it is certain."""
    assert len(found(tmp_path, events, "event-loop")) == count


def test_a_loop_is_named_with_its_place_and_the_type_of_the_answer(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, "{triggers: [{type: ml.prediction.v1}]}", "event-loop")
    assert finding.what == ("replies of payment-model (type ml.prediction.v1) pass the filters of its own trigger")
    lines = (tmp_path / "model.yaml").read_text("utf-8").split("\n")
    assert finding.where is not None
    assert "events:" in lines[int(finding.where.rpartition(":")[2]) - 1]


@pytest.mark.parametrize(
    ("events", "count"),
    [
        ("{triggers: [{type: a}], delivery: {deadLetterSink: {function: payment-model}}}", 1),
        ("{triggers: [{type: a}], delivery: {deadLetterSink: {broker: default}}}", 1),
        ("{triggers: [{type: a}], delivery: {deadLetterSink: {broker: dead}}}", 0),
        ("{triggers: [{type: a, broker: dead}], delivery: {deadLetterSink: {broker: dead}}}", 1),
        (
            (
                "{triggers: [{type: a, filters: [{not: {prefix: {knativeerrordest: http}}}]}], "
                "delivery: {deadLetterSink: {broker: default}}}"
            ),
            0,
        ),
        ("{triggers: [{type: a}]}", 0),
    ],
)
def test_a_dead_letter_must_not_come_back(events: str, count: int, tmp_path: Path) -> None:
    assert len(found(tmp_path, events, "dead-letter-loop")) == count


def test_every_broker_that_the_events_need_must_exist(tmp_path: Path) -> None:
    events = (
        "{broker: a, triggers: [{type: x}, {name: n, broker: b, delivery: {deadLetterSink: {broker: c}}}], "
        "predictions: {sink: {broker: d}}, sequence: {steps: [payment-model], reply: {broker: e}}, "
        "delivery: {deadLetterSink: {broker: f}}}"
    )
    missing = found(tmp_path, events, "broker-missing", facts=Facts(brokers=("b", "e")))
    assert sorted(each.what.rpartition(" ")[2] for each in missing) == ["a", "c", "d", "f"]
    assert missing[0].fix == "set createBroker: true, or run kn broker create a --namespace default"


def test_the_subscriptions_of_func_yaml_are_checked_like_triggers(tmp_path: Path) -> None:
    case = Case(function=(SUBSCRIBED,), facts=Facts(brokers=()))
    findings = {each.code: each for each in check(case, tmp_path)}
    assert findings.keys() == {"broker-missing", "dead-letters-dropped"}
    lines = (tmp_path / "func.yaml").read_text("utf-8").split("\n")
    for each in findings.values():
        assert each.where is not None
        assert "subscriptions" in lines[int(each.where.rpartition(":")[2]) - 1]


def test_a_delivery_that_needs_no_broker_is_not_looked_up(tmp_path: Path) -> None:
    events = "{delivery: {retry: 1}, sequence: {steps: [payment-model]}}"
    assert found(tmp_path, events, "broker-missing", facts=Facts(brokers=())) == []


def test_a_function_whose_settings_are_not_valid_has_no_loop(tmp_path: Path) -> None:
    """The rule for its settings reports them."""
    file = (("type: s3\n    path: s3://models/payment-model-v", "type: file\n    path: models/payment-model-v"),)
    case = Case(models=(*file, events_edit("{triggers: [{type: ml.prediction.v1}]}")))
    codes = {each.code for each in check(case, tmp_path)}
    assert "artifact-out-of-reach" in codes
    assert "event-loop" not in codes


def test_a_step_may_be_a_function_that_is_deployed_together(tmp_path: Path) -> None:
    events = "{sequence: {steps: [payment-model, a, b]}}"
    (missing,) = found(tmp_path, events, "sequence-step-missing", facts=Facts(services=("a",)))
    assert missing.what == "the step b is no function of the namespace default"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("def on_event(event): ...", None),
        ("from a import on_event", None),
        ("import a as on_event", None),
        ("on_event = print", None),
        ("from a import *", None),
        ("this is no Python", None),
        ("def other(event): ...", "main.py defines no on_event"),
        (None, "on_event should answer the events of payment-model, but there is no main.py"),
    ],
)
def test_the_target_of_events_must_be_defined(source: str | None, what: str | None, tmp_path: Path) -> None:
    findings = found(tmp_path, "{target: on_event}", "event-target-missing", source=source)
    assert [each.what.removeprefix(f"{tmp_path}/") for each in findings] == ([what] if what else [])


def test_the_names_of_a_file_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    assert defined_names(tmp_path / "main.py") is None


def test_a_trigger_without_a_dead_letter_sink_is_named(tmp_path: Path) -> None:
    assert len(found(tmp_path, "{triggers: [{type: a}, {name: b, type: b}]}", "dead-letters-dropped")) == 2


def test_a_valid_deployment_with_events_has_no_finding(tmp_path: Path) -> None:
    facts = Facts(brokers=("default", "logs"), services=("notify",))
    events = (
        f"{{triggers: [{{type: a}}], {DEAD}, sequence: {{steps: [payment-model, notify], reply: {{broker: default}}}}, "
        "predictions: {sink: {broker: logs}}}"
    )
    assert check(Case(models=(events_edit(events),), facts=facts), tmp_path) == []
