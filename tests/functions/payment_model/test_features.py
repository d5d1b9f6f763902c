"""A payment becomes 30 numbers, or an error that names the field."""

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payment_model.features import CATEGORIES, FEATURES, Asked, Payment, row
from runtime.errors import InvalidInput

PLAIN = {"amount": 12.5, "merchant_category": "grocery", "hour": 13, "weekday": 2}


def features(**changed: object) -> dict[str, float]:
    """Read the plain payment with some fields changed."""
    return dict(zip(FEATURES, row(Payment.read({**PLAIN, **changed})), strict=True))


def fault(body: object) -> InvalidInput:
    """Read a body that must be refused."""
    with pytest.raises(InvalidInput) as caught:
        Asked.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def any_payment() -> st.SearchStrategy[dict[str, Any]]:
    """Payments over the whole range of every field, the optional ones present or not."""
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
def test_every_valid_payment_gives_thirty_finite_numbers(raw: dict[str, Any]) -> None:
    (numbers,) = Asked.read(json.dumps(raw).encode()).rows
    assert len(numbers) == len(FEATURES) == 30
    assert all(isinstance(number, float) and math.isfinite(number) for number in numbers)


def test_the_features_of_a_payment_are_these() -> None:
    read = features(amount=math.e - 1, hour=6, country_mismatch=True, mean_amount_30d=math.e - 1)
    assert read["log_amount"] == pytest.approx(1)
    assert (read["hour_sin"], read["hour_cos"]) == pytest.approx((1, 0))
    assert (read["night"], read["weekend"], read["country_mismatch"], read["online"]) == (0, 0, 1, 0)
    assert read["log_amount_over_mean"] == pytest.approx(math.log(2))
    assert [read[f"category_{category}"] for category in CATEGORIES] == [float(c == "grocery") for c in CATEGORIES]


def test_a_night_ends_at_six_and_a_weekend_begins_on_saturday() -> None:
    assert (features(hour=5)["night"], features(hour=6)["night"]) == (1, 0)
    assert (features(weekday=4)["weekend"], features(weekday=5)["weekend"]) == (0, 1)


def test_a_day_counts_at_least_what_its_last_hour_counts() -> None:
    assert features(count_1h=7)["log_count_24h"] == pytest.approx(math.log(8))
    assert features(sum_1h=99.0)["log_sum_24h"] == pytest.approx(math.log(100))


def test_rows_share_no_state() -> None:
    first = Payment.read(PLAIN)
    row(first)[7:17] = [9.0] * 10
    assert max(row(first)[7:17]) == 1


@pytest.mark.parametrize("field", PLAIN)
def test_a_missing_required_field_is_named(field: str) -> None:
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
        ("merchant_category", ["fuel"], '["fuel"]', f"one of {', '.join(CATEGORIES)}"),
        ("online", 1, "1", "true or false"),
        ("count_1h", 10**400, f"1{'0' * 56}...", "a whole number from 0 to 10000"),
    ],
)
def test_a_bad_field_says_what_came_and_what_would_be_right(field: str, value: object, got: str, expected: str) -> None:
    error = fault({**PLAIN, field: value})
    assert error.details == {"field": field, "got": got, "expected": expected}
    assert error.message == f"{field}: got {got}; expected {expected}"


def test_a_misspelt_field_gets_the_nearest_name() -> None:
    error = fault({**PLAIN, "ammount": 3})
    assert error.details["field"] == "ammount"
    assert "amount, which is the nearest" in error.message


def test_a_field_like_none_gets_all_names() -> None:
    assert "one of amount, merchant_category" in fault({**PLAIN, "zzz": 3}).message


def test_a_list_is_read_in_order_and_a_fault_in_it_has_its_index() -> None:
    asked = Asked.read(json.dumps([PLAIN, {**PLAIN, "hour": 6}]).encode())
    assert not asked.alone
    assert asked.rows[1][FEATURES.index("hour_sin")] == pytest.approx(1)
    assert fault([PLAIN, {**PLAIN, "hour": "x"}]).details["field"] == "[1].hour"
    assert fault([PLAIN, 3]).details["field"] == "[1]"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b"3", b'"x"', b"[]", b"[" * 100_000, b"1" * 5_000])
def test_a_body_that_is_no_payment_is_refused_as_a_whole(body: bytes) -> None:
    assert fault(body).details["field"] == "body"


def test_the_request_path_loads_the_standard_library_alone() -> None:
    script = "import sys; import functions.payment_model.features; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "flask", "onnxruntime", "sklearn", "boto3"}.intersection(loaded)
