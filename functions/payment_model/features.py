"""A raw card payment in, the 30 numbers that the model reads out.

Serving and training walk this one path: `Payment.read` checks a raw payment, `row` turns it into its features, and
train.py sends every payment of its synthetic stream through both, so the two cannot drift apart.

It stands on the request path, so it imports the standard library alone. A field that is missing where it must not be,
unknown, or out of its range raises `InvalidInput` naming it, what came and what would be right.
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
    """A finite number within [low, high]; JSON's true and false are no numbers."""

    low: float
    high: float
    whole: bool = False

    @property
    def expected(self) -> str:
        """What would be right."""
        return f"a {'whole ' if self.whole else ''}number from {self.low:.10g} to {self.high:.10g}"

    def accepts(self, value: object) -> bool:
        """Whether the value fits; NaN fits no range."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or value == int(value))


@dataclass(frozen=True, slots=True)
class Flag:
    """JSON's true or false."""

    expected: str = "true or false"

    def accepts(self, value: object) -> bool:
        """Whether the value fits."""
        return isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        """What would be right."""
        return f"one of {', '.join(self.words)}"

    def accepts(self, value: object) -> bool:
        """Whether the value fits."""
        return isinstance(value, str) and value in self.words


def _takes(rule: Number | Flag | Choice, **default: Any) -> Any:  # noqa: ANN401 - stands where a default stands
    return field(metadata={"rule": rule}, **default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One card payment, as the bank knows it when it must answer.

    The first four fields are required. The history may be unknown to a caller; each default is then what an ordinary,
    settled customer shows: a payment near home, in person, on a card a year old.
    """

    amount: float = _takes(Number(0.01, 1_000_000))  # euros
    merchant_category: str = _takes(Choice(CATEGORIES))
    hour: int = _takes(Number(0, 23, whole=True))  # on the card holder's clock
    weekday: int = _takes(Number(0, 6, whole=True))  # 0 is Monday
    distance_from_home_km: float = _takes(Number(0, 20_040), default=5.0)  # half of the Earth's girth at most
    count_1h: int = _takes(Number(0, 10_000, whole=True), default=0)  # payments of this card before this one
    count_24h: int = _takes(Number(0, 10_000, whole=True), default=0)  # counts as at least count_1h
    sum_1h: float = _takes(Number(0, 10_000_000), default=0.0)  # euros, of the same payments
    sum_24h: float = _takes(Number(0, 10_000_000), default=0.0)  # counts as at least sum_1h
    mean_amount_30d: float = _takes(Number(0.01, 1_000_000), default=40.0)  # euros, this card's habit
    card_age_days: float = _takes(Number(0, 36_525), default=365.0)
    device_age_days: float = _takes(Number(0, 36_525), default=365.0)  # since phone or terminal was first seen
    country_mismatch: bool = _takes(Flag(), default=False)  # merchant or device abroad
    online: bool = _takes(Flag(), default=False)  # the card was not present
    minutes_since_last: float = _takes(Number(0, 5_259_600), default=1_440.0)  # ten years at most
    declined_24h: int = _takes(Number(0, 10_000, whole=True), default=0)
    new_merchant: bool = _takes(Flag(), default=False)  # this card's first payment there

    @classmethod
    def read(cls, raw: object, *, at: str = "") -> "Payment":
        """Check a raw payment, as JSON gave it; `at` is where it stood, such as `[3].`.

        Raises `InvalidInput` for the first field that is wrong. A field nobody knows is refused too: it is most often
        a slip of the pen in an optional one, which a default would hide.
        """
        if not isinstance(raw, Mapping):
            raise InvalidInput(
                at.rstrip(".") or "body",
                got=_shown(raw),
                expected=_PAYMENTS if not at else "a payment, as a JSON object",
            )
        if not raw.keys() <= _RULES.keys():
            raise _unknown(next(name for name in raw if name not in _RULES), at)
        for name, rule in _RULES.items():
            if name in raw:
                if not rule.accepts(raw[name]):
                    raise InvalidInput(at + name, got=_shown(raw[name]), expected=rule.expected)
            elif name in _REQUIRED:
                raise InvalidInput(at + name, got="nothing", expected=rule.expected)
        return cls(**raw)


_RULES: Mapping[str, Number | Flag | Choice] = {each.name: each.metadata["rule"] for each in fields(Payment)}
_REQUIRED = frozenset(each.name for each in fields(Payment) if each.default is MISSING)
_ONE_HOT = {
    category: [1.0 if category == other else 0.0 for other in CATEGORIES] for category in CATEGORIES
}  # never mutated: each row copies it


def row(payment: Payment) -> list[float]:
    """Turn one payment into the model's 30 features, in the order of `FEATURES`.

    Amounts, counts and ages spread over decades, so each comes as log(1 + x); hours and weekdays go round, so each
    comes as a point on a circle.
    """
    hour, day = 2 * pi * payment.hour / 24, 2 * pi * payment.weekday / 7
    return [
        log1p(payment.amount),
        sin(hour),
        cos(hour),
        sin(day),
        cos(day),
        float(payment.hour < 6),  # the night ends at six
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
class Asked:
    """What one request asks to score: the features of each payment, and whether it came alone, not in a list."""

    rows: list[list[float]]
    alone: bool

    @classmethod
    def read(cls, body: bytes) -> "Asked":
        """Read a request's body: one payment, or a list of at least one, as JSON whatever its content type says.

        Raises `InvalidInput`.
        """
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested beyond reason
            raise InvalidInput("body", got=f"no JSON ({error})", expected=_PAYMENTS) from error
        if content == []:
            raise InvalidInput("body", got="an empty list", expected="at least one payment")
        if isinstance(content, list):
            read = [Payment.read(each, at=f"[{index}].") for index, each in enumerate(content)]
            return cls(rows=[row(each) for each in read], alone=False)
        return cls(rows=[row(Payment.read(content))], alone=True)


_PAYMENTS = "a payment, as a JSON object, or a list of them"


def _unknown(name: object, at: str) -> InvalidInput:
    near = difflib.get_close_matches(str(name), _RULES, n=1)
    hint = f"{near[0]}, which is the nearest" if near else f"one of {', '.join(_RULES)}"
    return InvalidInput(f"{at}{name}", got="a field that no payment has", expected=hint)


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."  # enough to know it again
