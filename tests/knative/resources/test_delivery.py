"""Durations of both notations become ISO 8601, and a sink is exactly one destination."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.resources.delivery import Delivery, Reference, Sink, delay_seconds, iso_8601
from knative.resources.errors import FieldFault


@pytest.mark.parametrize(
    ("written", "rendered"),
    [
        ("0", "PT0S"),
        ("200ms", "PT0.2S"),
        ("1s", "PT1S"),
        ("1m30s", "PT1M30S"),
        ("90m", "PT1H30M"),
        ("1h0.5s", "PT1H0.5S"),
        ("PT0.5S", "PT0.5S"),
        ("PT90S", "PT1M30S"),
        ("PT1H", "PT1H"),
        ("PT2M5S", "PT2M5S"),
        ("24h", "PT24H"),
    ],
)
def test_a_duration_is_rendered_in_iso_8601(written: str, rendered: str) -> None:
    assert iso_8601(written) == rendered


@given(st.integers(0, 24 * 36_000))
def test_a_rendered_duration_is_as_long_as_the_written_one(tenths: int) -> None:
    rendered = iso_8601(f"{tenths * 100}ms")
    assert delay_seconds(rendered) == pytest.approx(tenths / 10)
    assert iso_8601(rendered) == rendered


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("backoff_delay", "backoffDelay", "250ms"),
        ("backoff_delay", "backoffDelay", "PT0.05S"),
        ("backoff_delay", "backoffDelay", "25h"),
        ("timeout", "timeout", "0s"),
        ("timeout", "timeout", "PT0S"),
        ("retry_after_max", "retryAfterMax", "10ms"),
    ],
)
def test_a_duration_that_knative_would_round_or_refuse_is_refused(field: str, name: str, value: str) -> None:
    with pytest.raises(FieldFault) as caught:
        Delivery(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == (name,)
    assert "in steps of 100ms" in caught.value.allowed


def test_the_header_retry_after_can_be_ignored() -> None:
    assert Delivery(retry_after_max="0s").retry_after_max == "0s"


def test_the_defaults_are_those_of_a_broker() -> None:
    """Its defaults in eventing, config/core/configmaps/default-broker.yaml."""
    delivery = Delivery()
    assert (delivery.retry, delivery.backoff_policy, iso_8601(delivery.backoff_delay)) == (10, "exponential", "PT0.2S")


@pytest.mark.parametrize(
    ("destinations", "count"), [({}, 0), ({"broker": "a", "function": "b"}, 2), ({"uri": "http://a", "broker": "b"}, 2)]
)
def test_a_sink_is_exactly_one_destination(destinations: dict[str, str], count: int) -> None:
    with pytest.raises(FieldFault, match=f"got {count} destinations; expected exactly one of broker, function, uri"):
        Sink(**destinations)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sink", "text"),
    [
        (Sink(broker="default"), "Broker default"),
        (Sink(function="dead-letters"), "function dead-letters"),
        (Sink(uri="http://events.example.com/in"), "http://events.example.com/in"),
        (Sink(ref=Reference(api_version="eventing.knative.dev/v1alpha1", kind="KafkaSink", name="a")), "KafkaSink a"),
    ],
)
def test_a_message_names_the_kind_of_a_sink(sink: Sink, text: str) -> None:
    assert str(sink) == text
