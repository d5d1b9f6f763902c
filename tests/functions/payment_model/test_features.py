"""A payment is converted to 30 numbers, or to an error that names the field."""

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payment_model.features import CATEGORIES, FEATURES, Payment, ScoreRequest, row
from runtime.errors import InvalidInput

PLAIN = {"amount": 12.5, "merchant_category": "grocery", "hour": 13, "weekday": 2}


def features(**changed: object) -> dict[str, float]:
    """Return the features of the plain payment with some fields changed."""
    return dict(zip(FEATURES, row(Payment.read({**PLAIN, **changed})), strict=True))


def fault(body: object) -> InvalidInput:
    """Return the error for an invalid body."""
    with pytest.raises(InvalidInput) as caught:
        ScoreRequest.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def any_payment() -> st.SearchStrategy[dict[str, Any]]:
    """Generate payments over the whole range of each field, with or without the optional fields."""
    small, count = st.floats(0, 30_000), st.integers(0, 10_000)
    return st.fixed_dictionaries(
        {
            "amount": st.floats(0.01, 1_000_000),
            "merchant_category": st.sampled_from(CATEGORIES),
            "hour": st.integers(0, 23),
            "weekday": st.integers(0, 6),
        },
        optional={
            "distance_from_home_km": st.floats(0, 20_040),
            "count_1h": count,
            "count_24h": count,
            "sum_1h": small,
            "sum_24h": small,
            "mean_amount_30d": st.floats(0.01, 1_000_000),
            "card_age_days": small,
            "device_age_days": small,
            "country_mismatch": st.booleans(),
            "online": st.booleans(),
            "minutes_since_last": small,
            "declined_24h": count,
            "new_merchant": st.booleans(),
        },
    )


@given(any_payment())
def test_every_valid_payment_has_30_finite_features(raw: dict[str, Any]) -> None:
    (numbers,) = ScoreRequest.read(json.dumps(raw).encode()).rows
    assert len(numbers) == len(FEATURES) == 30
    assert all(isinstance(number, float) and math.isfinite(number) for number in numbers)


def test_the_features_of_an_example_payment() -> None:
    read = features(amount=math.e - 1, hour=6, country_mismatch=True, mean_amount_30d=math.e - 1)
    assert read["log_amount"] == pytest.approx(1)
    assert (read["hour_sin"], read["hour_cos"]) == pytest.approx((1, 0))
    assert (read["night"], read["weekend"], read["country_mismatch"], read["online"]) == (0, 0, 1, 0)
    assert read["log_amount_over_mean"] == pytest.approx(math.log(2))
    assert [read[f"category_{category}"] for category in CATEGORIES] == [float(c == "grocery") for c in CATEGORIES]


def test_the_night_ends_at_six_and_the_weekend_starts_on_saturday() -> None:
    assert (features(hour=5)["night"], features(hour=6)["night"]) == (1, 0)
    assert (features(weekday=4)["weekend"], features(weekday=5)["weekend"]) == (0, 1)


def test_the_counts_of_a_day_are_at_least_those_of_the_last_hour() -> None:
    assert features(count_1h=7)["log_count_24h"] == pytest.approx(math.log(8))
    assert features(sum_1h=99.0)["log_sum_24h"] == pytest.approx(math.log(100))


def test_rows_share_no_state() -> None:
    first = Payment.read(PLAIN)
    row(first)[7:17] = [9.0] * 10
    assert max(row(first)[7:17]) == 1


@pytest.mark.parametrize("field", PLAIN)
def test_a_missing_required_field_is_an_error_with_its_name(field: str) -> None:
    error = fault({name: value for name, value in PLAIN.items() if name != field})
    assert (error.details["field"], error.details["got"]) == (field, "nothing")


@pytest.mark.parametrize(
    ("field", "value", "got", "expected"),
    [
        ("amount", 0, "0", "a number from 0.01 to 1000000"),
        ("amount", "12", '"12"', "a number from 0.01 to 1000000"),
        ("amount", True, "true", "a number from 0.01 to 1000000"),
        ("amount", None, "null", "a number from 0.01 to 1000000"),
        ("amount", math.nan, "NaN", "a number from 0.01 to 1000000"),
        ("amount", math.inf, "Infinity", "a number from 0.01 to 1000000"),
        ("hour", 24, "24", "a whole number from 0 to 23"),
        ("hour", 1.5, "1.5", "a whole number from 0 to 23"),
        ("weekday", -1, "-1", "a whole number from 0 to 6"),
        ("merchant_category", "toys", '"toys"', f"one of {', '.join(CATEGORIES)}"),
        ("merchant_category", ["fuel"], "a list of length 1", f"one of {', '.join(CATEGORIES)}"),
        ("online", 1, "1", "true or false"),
        ("count_1h", 10**400, f"1{'0' * 56}...", "a whole number from 0 to 10000"),
    ],
)
def test_an_invalid_field_is_reported_with_the_received_and_the_expected_value(
    field: str, value: object, got: str, expected: str
) -> None:
    error = fault({**PLAIN, field: value})
    assert error.details == {"field": field, "got": got, "expected": expected}
    assert error.message == f"{field}: got {got}; expected {expected}"


def test_the_error_for_a_misspelled_field_suggests_the_nearest_name() -> None:
    error = fault({**PLAIN, "ammount": 3})
    assert error.details["field"] == "ammount"
    assert "perhaps amount" in error.message


def test_the_error_for_an_unknown_field_lists_all_names() -> None:
    assert "one of amount, merchant_category" in fault({**PLAIN, "zzz": 3}).message


def test_a_list_is_read_in_order_and_an_error_has_the_index() -> None:
    scoring = ScoreRequest.read(json.dumps([PLAIN, {**PLAIN, "hour": 6}]).encode())
    assert not scoring.single
    assert scoring.rows[1][FEATURES.index("hour_sin")] == pytest.approx(1)
    assert fault([PLAIN, {**PLAIN, "hour": "x"}]).details["field"] == "[1].hour"
    assert fault([PLAIN, 3]).details["field"] == "[1]"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b"3", b'"x"', b"[]", b"[" * 100_000, b"1" * 5_000])
def test_a_body_that_is_not_a_payment_is_an_error_of_the_body(body: bytes) -> None:
    assert fault(body).details["field"] == "body"


def test_the_request_path_imports_only_the_standard_library() -> None:
    script = "import sys; import functions.payment_model.features; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "flask", "onnxruntime", "sklearn", "boto3"}.intersection(loaded)


@pytest.mark.parametrize("depth", [10, 800, 900, 950, 980, 990, 993, 1000, 100_000])
def test_a_nested_value_of_any_depth_is_an_error_of_the_input(depth: int) -> None:
    error = fault(json.dumps({**PLAIN, "amount": "x"}).replace('"x"', "[" * depth + "]" * depth).encode())
    assert error.details["field"] in {"amount", "body"}
