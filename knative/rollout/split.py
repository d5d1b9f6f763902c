"""How traffic is split between revisions, in whole percent, and how a larger share of one changes the others."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

WHOLE: Final = 100  # percent


class Share(NamedTuple):
    """The share of one revision."""

    revision: str
    percent: int


Split = tuple[Share, ...]  # each revision once


def split_from(shares: Iterable[tuple[str, int]]) -> Split:
    """Add up the shares of each revision, and leave out revisions without traffic."""
    total: dict[str, int] = {}
    for revision, percent in shares:
        total[revision] = total.get(revision, 0) + percent
    return tuple(Share(revision, percent) for revision, percent in total.items() if percent)


def percent_of(split: Split, revision: str) -> int:
    """Return the share of a revision; 0 if it has none."""
    return next((each.percent for each in split if each.revision == revision), 0)


def is_same(one: Split, other: Split) -> bool:
    """Whether both give each revision the same share, in any order."""
    return dict(split_from(one)) == dict(split_from(other))


def shifted(stable: Split, target: str, percent: int) -> Split:
    """Give the target `percent`, but never less than it has. The others keep their proportions in the rest.

    Shares are whole numbers, by the method of largest remainders: each differs from its exact value by less than 1 %.
    """
    others = [each for each in stable if each.revision != target and each.percent]
    given = max(percent, percent_of(stable, target)) if others else WHOLE
    parts = _apportioned(WHOLE - given, [each.percent for each in others])
    shares = ((each.revision, part) for each, part in zip(others, parts, strict=True))
    return split_from([*shares, (target, given)])


def format_split(split: Split) -> str:
    """Format a split, such as `95 % m-v1, 5 % m-v2`."""
    return ", ".join(f"{each.percent} % {each.revision}" for each in split)


def _apportioned(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide whole percents by weight. Source: the method of largest remainders (Hamilton)."""
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
