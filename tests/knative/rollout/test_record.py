"""A rollout's state is the same after writing and reading, and an invalid record is an error."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.errors import BadRecord
from knative.rollout.judgement import Limits, Sample
from knative.rollout.machine import Phase, State, begin
from knative.rollout.record import ANNOTATION, find, parse, render
from knative.rollout.split import Share, Split
from tests.knative.rollout.strategies import samples, splits, steps

PHASES: list[Phase] = ["warming", "settling", "watching", "done", "rolled_back", "halted", "forgotten"]


@given(
    stable=splits(),
    ascending=steps,
    step=st.integers(-1, 5),
    phase=st.sampled_from(PHASES),
    since=st.integers(0, 2**35).map(lambda each: each / 1000),
    others=samples(),
    reason=st.text(),
)
def test_a_state_is_read_as_it_was_written(
    stable: Split, ascending: tuple[int, ...], step: int, phase: Phase, since: float, others: Sample, reason: str
) -> None:
    state = begin("m-v2", stable=stable, steps=ascending, limits=Limits(), now=since)
    state = replace(
        state, step=min(step, len(state.steps) - 1), phase=phase, others=others, reason=reason, run="a command"
    )
    assert parse(render(state)) == state


def test_a_record_is_small_and_plain_json() -> None:
    text = render(state())
    assert len(text) < 1000
    assert json.loads(text)["from"] == {"m-v1": 100}


@pytest.mark.parametrize("field", ["behind", "judged"])
def test_an_older_record_without_a_field_is_read(field: str) -> None:
    assert parse(without(field)) == state()


def state() -> State:
    return begin("m-v2", stable=(Share("m-v1", 100),), steps=(5, 100), limits=Limits(), now=0)


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(render(state())), **fields})


def without(field: str) -> str:
    fields = json.loads(render(state()))
    del fields[field]
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "it is not JSON", id="empty"),
        pytest.param("{", "it is not JSON", id="truncated"),
        pytest.param("[]", "it is not a JSON object", id="a list"),
        pytest.param("{}", "its format is None; this version of scalezero reads 1", id="no format"),
        pytest.param(changed(format=2), "its format is 2", id="a newer format"),
        pytest.param(without("to"), "the field 'to' is missing", id="a field is missing"),
        pytest.param(changed(phase="unknown"), "its phase is 'unknown'", id="an unknown phase"),
        pytest.param(changed(phase=[]), r"its phase is \[\]", id="a phase that is not a string"),
        pytest.param(changed(**{"from": {"m-v1": 99}}), "does not sum to 100", id="a split of 99 %"),
        pytest.param(changed(**{"from": {"m-v1": 110, "m-v3": -10}}), "not positive", id="a negative share"),
        pytest.param(changed(**{"from": 100}), "a field has an invalid value", id="a split that is not an object"),
        pytest.param(changed(steps=[50, 5]), r"its steps are \[50, 5\]", id="descending steps"),
        pytest.param(changed(steps=[]), r"its steps are \[\]", id="no steps"),
        pytest.param(changed(steps=5), "a field has an invalid value", id="steps that are not a list"),
        pytest.param(changed(step=2), "its step is 2 of 2", id="a step after the last"),
        pytest.param(changed(step=-2), "its step is -2 of 2", id="a step before the first"),
        pytest.param(changed(since="soon"), "a field has an invalid value", id="a time that is not a number"),
        pytest.param(changed(step=1e999), "a field has an invalid value", id="an infinite number"),
        pytest.param(changed(others={"requests": 1}), "the field 'le' is missing", id="an incomplete sample"),
        pytest.param(
            changed(others={"requests": 1, "errors": 0, "le": [1], "counts": []}),
            "a field has an invalid value",
            id="bounds and counts of different lengths",
        ),
    ],
)
def test_the_error_for_an_invalid_record_has_the_reason_and_the_next_step(text: str, reason: str) -> None:
    with pytest.raises(BadRecord, match=reason) as caught:
        parse(text)
    assert "--adopt" in str(caught.value)


@given(text=st.text() | st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps))
def test_any_other_text_is_an_invalid_record(text: str) -> None:
    with pytest.raises(BadRecord):
        parse(text)


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {}}])
def test_a_service_without_a_record_has_no_rollout(metadata: dict[str, object]) -> None:
    assert find({"metadata": metadata}) is None


def test_a_services_record_is_found() -> None:
    assert find({"metadata": {"annotations": {ANNOTATION: render(state())}}}) == state()
