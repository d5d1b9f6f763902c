"""A synthetic stream of card payments, about 2 % of them fraud. It contains no real data.

Each payment belongs to a customer with a usual amount, a frequently or rarely used card, and a phone of some age.
Honest payments are usual ones, with the exceptions of honest customers: journeys, new phones, a day of shopping.
A fraud replaces the columns that a thief changes:

- testing   a list of stolen card numbers is tested with small online payments in quick succession; many are declined
- stolen    the stolen card is used in shops, far from home and for amounts far above the usual one
- takeover  a new device pays online for goods that can be resold
- quiet     a thief who behaves like the customer; these cannot be detected, so no score is perfect

A large distance from home is normal on a journey, and a new phone is normal with usual amounts. Only the combination
indicates fraud, which a linear model detects only in part.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from functions.payment_model.features import CATEGORIES

Column = npt.NDArray[Any]
Columns = dict[str, Column]

FRAUD_RATE = 0.02
KINDS = ("testing", "stolen", "takeover", "quiet")
_KIND_SHARES = (0.32, 0.30, 0.28, 0.10)

# Of honest payments, in the order of CATEGORIES: the frequency, the share of online payments, and the amount relative
# to the card's usual amount.
_SHARE = (0.05, 0.09, 0.11, 0.05, 0.09, 0.28, 0.01, 0.19, 0.05, 0.08)
_ONLINE = (0.0, 0.45, 1.0, 0.5, 0.0, 0.12, 0.15, 0.1, 0.75, 0.85)
_SCALE = (2.0, 1.4, 0.4, 3.5, 1.1, 0.9, 6.0, 0.7, 5.0, 1.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Raw payments as a caller sends them, and their labels (int64 [payments], 1 is fraud, 0 is not)."""

    payments: list[dict[str, Any]]
    fraud: npt.NDArray[np.int64]


def draw(size: int, *, seed: int) -> Stream:
    """Generate `size` payments; the same seed generates the same stream."""
    rng = np.random.default_rng(seed)
    columns = _honest(rng, size)
    fraud = rng.random(size) < FRAUD_RATE
    kind = rng.choice(len(KINDS), size, p=_KIND_SHARES)
    for index, changed in enumerate((_testing, _stolen, _takeover)):
        mask = fraud & (kind == index)
        for name, column in changed(rng, {each: values[mask] for each, values in columns.items()}).items():
            columns[name][mask] = column
    return Stream(payments=_raw(columns), fraud=fraud.astype(np.int64))


def _honest(rng: np.random.Generator, size: int) -> Columns:
    category = rng.choice(len(CATEGORIES), size, p=_SHARE)
    journey = rng.random(size) < np.where(category == CATEGORIES.index("travel"), 0.3, 0.05)
    online = rng.random(size) < np.take(_ONLINE, category) * np.where(journey, 0.5, 1.0)
    mean = rng.lognormal(3.4, 0.6, size)
    card_age = rng.gamma(1.6, 500, size)
    new_phone = rng.random(size) < 0.03
    count_24h = rng.poisson(rng.gamma(1.2, 1.4, size))
    count_1h = rng.binomial(count_24h, 0.12)
    sum_24h = count_24h * mean * rng.lognormal(0, 0.5, size)
    return {
        "amount": mean * np.take(_SCALE, category) * rng.lognormal(-0.2, 0.6, size),
        "category": category,
        "hour": np.floor(rng.normal(14.5, 4.2, size)) % 24,
        "weekday": rng.choice(7, size, p=(0.13, 0.13, 0.13, 0.14, 0.17, 0.18, 0.12)),
        "distance_from_home_km": np.where(journey, rng.lognormal(6.3, 0.9, size), rng.lognormal(1.3, 1.1, size)),
        "count_1h": count_1h,
        "count_24h": count_24h,
        "sum_1h": sum_24h * count_1h / np.maximum(count_24h, 1),
        "sum_24h": sum_24h,
        "mean_amount_30d": mean,
        "card_age_days": card_age,
        "device_age_days": np.where(new_phone, rng.uniform(0, 5, size), rng.gamma(1.5, 250, size)),
        "country_mismatch": rng.random(size) < np.where(journey, 0.6, np.where(online, 0.06, 0.002)),
        "online": online,
        "minutes_since_last": _gap(rng, count_1h, count_24h),
        "declined_24h": rng.poisson(0.05, size),
        "new_merchant": rng.random(size) < np.where(journey, 0.85, 0.22),
    }


def _testing(rng: np.random.Generator, of: Columns) -> Columns:
    size = len(of["amount"])
    tries = rng.poisson(4, size)
    amount = rng.lognormal(1.4, 0.9, size)
    return {
        "amount": amount,
        "category": _any(rng, size, "digital_goods", "utilities", "clothing"),
        "hour": rng.integers(0, 24, size),
        "online": np.ones(size, bool),
        "new_merchant": rng.random(size) < 0.9,
        "declined_24h": of["declined_24h"] + rng.binomial(tries, 0.4),
        "country_mismatch": rng.random(size) < 0.35,
        **_burst(rng, of, tries, amount),
    }


def _stolen(rng: np.random.Generator, of: Columns) -> Columns:
    size = len(of["amount"])
    amount = of["mean_amount_30d"] * rng.lognormal(1.5, 0.7, size)
    return {
        "amount": amount,
        "category": _any(rng, size, "electronics", "jewellery", "cash", "clothing", "fuel"),
        "hour": np.floor(rng.normal(20, 5, size)) % 24,
        "online": np.zeros(size, bool),
        "new_merchant": rng.random(size) < 0.8,
        "distance_from_home_km": rng.lognormal(3.6, 1.3, size),
        "declined_24h": of["declined_24h"] + rng.poisson(0.4, size),
        **_burst(rng, of, rng.poisson(1.8, size), amount),
    }


def _takeover(rng: np.random.Generator, of: Columns) -> Columns:
    size = len(of["amount"])
    return {
        "amount": of["mean_amount_30d"] * rng.lognormal(1.2, 0.8, size),
        "category": _any(rng, size, "electronics", "digital_goods", "travel", "clothing"),
        "hour": rng.integers(0, 24, size),
        "online": np.ones(size, bool),
        "new_merchant": rng.random(size) < 0.7,
        "device_age_days": rng.exponential(2, size),
        "country_mismatch": rng.random(size) < 0.3,
    }


def _burst(rng: np.random.Generator, of: Columns, tries: Column, amount: Column) -> Columns:
    """Add `tries` payments of about `amount` in the last hour, with consistent counts, sums and time since the last."""
    spent = tries * amount * rng.lognormal(0, 0.3, len(tries))
    count_1h, count_24h = of["count_1h"] + tries, of["count_24h"] + tries
    return {
        "count_1h": count_1h,
        "count_24h": count_24h,
        "sum_1h": of["sum_1h"] + spent,
        "sum_24h": of["sum_24h"] + spent,
        "minutes_since_last": np.where(tries > 0, rng.exponential(6, len(tries)), of["minutes_since_last"]),
    }


def _gap(rng: np.random.Generator, count_1h: Column, count_24h: Column) -> Column:
    """Generate the minutes since the last payment, consistent with the counts."""
    size = len(count_1h)
    earlier = np.where(count_24h > 0, rng.uniform(60, 1440, size), 1440 + rng.exponential(2500, size))
    return np.where(count_1h > 0, rng.uniform(0, 60, size), earlier)


def _any(rng: np.random.Generator, size: int, *categories: str) -> Column:
    return rng.choice([CATEGORIES.index(category) for category in categories], size)


def _raw(columns: Columns) -> list[dict[str, Any]]:
    """Convert the columns to payments, with amounts rounded to cents."""
    fields: dict[str, list[Any]] = {
        name: np.round(column, 2).tolist() if column.dtype == np.float64 else column.tolist()
        for name, column in columns.items()
        if name not in {"category", "amount", "hour"}
    }
    fields["amount"] = np.round(np.clip(columns["amount"], 0.5, 50_000), 2).tolist()
    fields["hour"] = columns["hour"].astype(int).tolist()
    fields["merchant_category"] = [CATEGORIES[index] for index in columns["category"]]
    return [dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True)]
