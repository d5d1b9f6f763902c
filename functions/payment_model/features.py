"""Conversion of a raw card payment to the 30 features of the model.

Serving and training use the same code: `Payment.read` checks a raw payment, and `row` converts it to features. train.py
applies both to every payment of its synthetic stream, so training and serving cannot differ.

This module is on the request path, so it imports only the standard library. A required field that is missing, an
unknown field, or a value out of range raises `InvalidInput` with the field, the received value and the expected one.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from math import cos, log1p, pi, sin
from typing import Any

from runtime.errors import InvalidInput

CATEGORIES = (
    "cash",
    "clothing",
    "digital_goods",
    "electronics",
    "fuel",
    "grocery",
    "jewellery",
    "restaurant",
    "travel",
    "utilities",
)

FEATURES = (
    "log_amount",
    "hour_sin",
    "hour_cos",
    "weekday_sin",
    "weekday_cos",
    "night",
    "weekend",
    *(f"category_{category}" for category in CATEGORIES),
    "log_distance_from_home",
    "log_count_1h",
    "log_count_24h",
    "log_sum_1h",
    "log_sum_24h",
    "log_amount_over_mean",
    "log_card_age",
    "log_device_age",
    "country_mismatch",
    "online",
    "log_minutes_since_last",
    "log_declined_24h",
    "new_merchant",
)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number within [low, high]; JSON's true and false are not numbers."""

    low: float
    high: float
    whole: bool = False

    @property
    def expected(self) -> str:
        """The allowed values, as a text for the error message."""
        return f"a {'whole ' if self.whole else ''}number from {self.low:.10g} to {self.high:.10g}"

    def accepts(self, value: object) -> bool:
        """Return whether the value is allowed; NaN is in no range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or value == int(value))


@dataclass(frozen=True, slots=True)
class Flag:
    """JSON's true or false."""

    expected: str = "true or false"

    def accepts(self, value: object) -> bool:
        """Return whether the value is allowed."""
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several texts."""

    choices: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The allowed values, as a text for the error message."""
        return f"one of {', '.join(self.choices)}"

    def accepts(self, value: object) -> bool:
        """Return whether the value is allowed."""
        return isinstance(value, str) and value in self.choices


def _field(rule: Number | Flag | OneOf, **default: Any) -> Any:  # noqa: ANN401 - used in place of a default value
    return field(metadata={"rule": rule}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One card payment, with the facts that the bank has when it must decide.

    The first four fields are required. A caller may not have the history; the defaults are those of an ordinary
    customer: a payment near home, in person, with a card that is one year old.
    """

    amount: float = _field(Number(0.01, 1_000_000))  # euros
    merchant_category: str = _field(OneOf(CATEGORIES))
    hour: int = _field(Number(0, 23, whole=True))  # on the card holder's clock
    weekday: int = _field(Number(0, 6, whole=True))  # 0 is Monday
    distance_from_home_km: float = _field(Number(0, 20_040), default=5.0)  # at most half of the Earth's circumference
    count_1h: int = _field(Number(0, 10_000, whole=True), default=0)  # payments of this card before this one
    count_24h: int = _field(Number(0, 10_000, whole=True), default=0)  # a smaller value counts as count_1h
    sum_1h: float = _field(Number(0, 10_000_000), default=0.0)  # euros, sum of the payments in count_1h
    sum_24h: float = _field(Number(0, 10_000_000), default=0.0)  # a smaller value counts as sum_1h
    mean_amount_30d: float = _field(Number(0.01, 1_000_000), default=40.0)  # euros, mean amount of this card
    card_age_days: float = _field(Number(0, 36_525), default=365.0)
    device_age_days: float = _field(Number(0, 36_525), default=365.0)  # since the phone or terminal was first seen
    country_mismatch: bool = _field(Flag(), default=False)  # merchant or device abroad
    online: bool = _field(Flag(), default=False)  # the card was not present
    minutes_since_last: float = _field(Number(0, 5_259_600), default=1_440.0)  # ten years at most
    declined_24h: int = _field(Number(0, 10_000, whole=True), default=0)
    new_merchant: bool = _field(Flag(), default=False)  # the first payment of this card to the merchant

    @classmethod
    def read(cls, raw: object, *, at: str = "") -> "Payment":
        """Check a raw payment from JSON; `at` is its position in the request body, such as `[3].`.

        Raises `InvalidInput` for the first invalid field. An unknown field is invalid too: it is usually a misspelled
        optional field, and the default would hide the mistake.
        """
        if not isinstance(raw, Mapping):
            raise InvalidInput(
                at.rstrip(".") or "body",
                got=_format_value(raw),
                expected=_PAYMENTS if not at else "a payment, as a JSON object",
            )
        if not raw.keys() <= _RULES.keys():
            raise _unknown_field(next(name for name in raw if name not in _RULES), at)
        for name, rule in _RULES.items():
            if name in raw:
                if not rule.accepts(raw[name]):
                    raise InvalidInput(at + name, got=_format_value(raw[name]), expected=rule.expected)
            elif name in _REQUIRED:
                raise InvalidInput(at + name, got="nothing", expected=rule.expected)
        return cls(**raw)


_RULES: Mapping[str, Number | Flag | OneOf] = {each.name: each.metadata["rule"] for each in fields(Payment)}
_REQUIRED = frozenset(each.name for each in fields(Payment) if each.default is MISSING)
_ONE_HOT = {
    category: [1.0 if category == other else 0.0 for other in CATEGORIES] for category in CATEGORIES
}  # never mutated: each row copies it


def row(payment: Payment) -> list[float]:
    """Convert one payment to the model's 30 features, in the order of `FEATURES`.

    Amounts, counts and ages span several orders of magnitude, so their features are log(1 + x). Hours and weekdays are
    cyclic, so their features are the coordinates of a point on a circle.
    """
    hour, day = 2 * pi * payment.hour / 24, 2 * pi * payment.weekday / 7
    return [
        log1p(payment.amount),
        sin(hour),
        cos(hour),
        sin(day),
        cos(day),
        float(payment.hour < 6),  # night: before 6 o'clock
        float(payment.weekday >= 5),  # Saturday and Sunday
        *_ONE_HOT[payment.merchant_category],
        log1p(payment.distance_from_home_km),
        log1p(payment.count_1h),
        log1p(max(payment.count_24h, payment.count_1h)),
        log1p(payment.sum_1h),
        log1p(max(payment.sum_24h, payment.sum_1h)),
        log1p(payment.amount / payment.mean_amount_30d),
        log1p(payment.card_age_days),
        log1p(payment.device_age_days),
        float(payment.country_mismatch),
        float(payment.online),
        log1p(payment.minutes_since_last),
        log1p(payment.declined_24h),
        float(payment.new_merchant),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """The payments of one request: the features of each, and whether the body is a single payment and not a list."""

    rows: list[list[float]]
    single: bool

    @classmethod
    def read(cls, body: bytes) -> "ScoreRequest":
        """Read a request body: one payment, or a list of at least one, as JSON; the content type is ignored.

        Raises `InvalidInput`.
        """
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
            raise InvalidInput("body", got=f"invalid JSON ({error})", expected=_PAYMENTS) from error
        if content == []:
            raise InvalidInput("body", got="an empty list", expected="at least one payment")
        if isinstance(content, list):
            read = [Payment.read(each, at=f"[{index}].") for index, each in enumerate(content)]
            return cls(rows=[row(each) for each in read], single=False)
        return cls(rows=[row(Payment.read(content))], single=True)


_PAYMENTS = "a payment, as a JSON object, or a list of them"


def _unknown_field(name: object, at: str) -> InvalidInput:
    similar = difflib.get_close_matches(str(name), _RULES, n=1)
    hint = f"a field of a payment, perhaps {similar[0]}" if similar else f"one of {', '.join(_RULES)}"
    return InvalidInput(f"{at}{name}", got="an unknown field", expected=hint)


def _format_value(value: object) -> str:
    if isinstance(value, list):
        return f"a list of length {len(value)}"  # its text may be large, or nested too deeply for json.dumps
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."  # enough to recognize it
