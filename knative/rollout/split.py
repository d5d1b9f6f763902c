"""Who gets how much of the traffic, in whole percent, and how that changes when one revision is given more."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

WHOLE: Final = 100  # percent


class Share(NamedTuple):
    """One revision and what it gets."""

    revision: str
    percent: int


Split = tuple[Share, ...]  # each revision once


def split_from(shares: Iterable[tuple[str, int]]) -> Split:
    """Add up what each revision gets, and leave out who gets nothing."""
    total: dict[str, int] = {}
    for revision, percent in shares:
        total[revision] = total.get(revision, 0) + percent
    return tuple(Share(revision, percent) for revision, percent in total.items() if percent)


def percent_of(split: Split, revision: str) -> int:
    """Say what a revision gets."""
    return next((each.percent for each in split if each.revision == revision), 0)


def is_same(one: Split, other: Split) -> bool:
    """Whether everybody gets the same, in whatever order it is written."""
    return dict(split_from(one)) == dict(split_from(other))


def shifted(stable: Split, target: str, percent: int) -> Split:
    """Give the target `percent`, and never less than it has; the others share the rest as they share now.

    Shares are whole, so the rest is dealt out by largest remainders: nobody is off its exact part by a whole percent.
    """
    others = [each for each in stable if each.revision != target and each.percent]
    given = max(percent, percent_of(stable, target)) if others else WHOLE
    parts = _dealt(WHOLE - given, [each.percent for each in others])
    shares = ((each.revision, part) for each, part in zip(others, parts, strict=True))
    return split_from([*shares, (target, given)])


def format_split(split: Split) -> str:
    """Write a split for a person."""
    return ", ".join(f"{each.percent} % {each.revision}" for each in split)


def _dealt(amount: int, weights: Sequence[int]) -> list[int]:
    """Deal out whole percents by weight. Source: the method of largest remainders (Hamilton)."""
    total = sum(weights)
    parts, remainders = [], []
    for weight in weights:
        part, remainder = divmod(amount * weight, total)
        parts.append(part)
        remainders.append(remainder)
    first = sorted(range(len(weights)), key=lambda index: -remainders[index])
    for index in first[: amount - sum(parts)]:
        parts[index] += 1
    return parts
