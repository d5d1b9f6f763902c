"""A filter has one dialect, and states whether an event passes as far as its attributes are known."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from knative.resources.errors import FieldFault
from knative.resources.event_filters import AttributesFilter, Filter, conjunction

EVENT = {"type": "com.example.created", "source": "/shop"}


@pytest.mark.parametrize(
    ("dialect", "result"),
    [
        ({"exact": {"type": "com.example.created"}}, True),
        ({"exact": {"type": "com.example"}}, False),
        ({"exact": {"subject": "a"}}, None),
        ({"exact": {"subject": "a", "type": "com.example"}}, False),
        ({"prefix": {"type": "com.example."}}, True),
        ({"prefix": {"type": "org."}}, False),
        ({"prefix": {"subject": "a"}}, None),
        ({"suffix": {"type": ".created"}}, True),
        ({"suffix": {"source": ".created"}}, False),
        ({"suffix": {"subject": "a"}}, None),
        ({"cesql": "type = 'a'"}, None),
        ({"not": {"exact": {"type": "a"}}}, True),
        ({"not": {"prefix": {"type": "com."}}}, False),
        ({"not": {"cesql": "TRUE"}}, None),
        ({"all": [{"prefix": {"type": "com."}}, {"exact": {"source": "/shop"}}]}, True),
        ({"all": [{"prefix": {"type": "com."}}, {"exact": {"source": "/other"}}]}, False),
        ({"all": [{"prefix": {"type": "com."}}, {"cesql": "TRUE"}]}, None),
        ({"all": [{"prefix": {"type": "org."}}, {"cesql": "TRUE"}]}, False),
        ({"any": [{"prefix": {"type": "org."}}, {"exact": {"source": "/shop"}}]}, True),
        ({"any": [{"prefix": {"type": "org."}}, {"exact": {"source": "/other"}}]}, False),
        ({"any": [{"prefix": {"type": "com."}}, {"cesql": "TRUE"}]}, True),
        ({"any": [{"prefix": {"type": "org."}}, {"cesql": "TRUE"}]}, None),
    ],
)
def test_an_event_passes_a_filter(dialect: dict[str, Any], result: bool | None) -> None:  # noqa: FBT001 - a test case
    assert convert(dialect, Filter).passes(EVENT) is result


@given(st.lists(st.sampled_from([True, False, None])))
def test_an_unknown_result_may_be_either(results: list[bool | None]) -> None:
    outcome = {all(each if each is not None else drawn for each in results) for drawn in (True, False)}
    assert conjunction(results) is (outcome.pop() if len(outcome) == 1 else None)


@pytest.mark.parametrize(
    ("dialect", "count"), [({}, 0), ({"exact": {}}, 0), ({"exact": {"type": "a"}, "cesql": "TRUE"}, 2)]
)
def test_a_filter_has_exactly_one_dialect(dialect: dict[str, Any], count: int) -> None:
    with pytest.raises(FieldFault, match=f"got {count} dialects; expected exactly one of exact, prefix"):
        Filter(**dialect)


@pytest.mark.parametrize("name", ["Type", "ce-type", "1a", "", "ä", "a_b"])
def test_a_name_that_no_attribute_can_have_is_refused(name: str) -> None:
    with pytest.raises(FieldFault) as caught:
        AttributesFilter(attributes={name: "a"})
    assert caught.value.field == ("attributes", name)
    with pytest.raises(FieldFault):
        Filter(prefix={name: "a"})
