"""Which versions of a folder with numbered versions are served, as TensorFlow Serving's version policies have it. Pure.

    latest     the highest one           latest:2   the two highest
    all        every one                 1,3        these

Source: TensorFlow Serving, FileSystemStoragePathSourceConfig.ServableVersionPolicy.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

ALLOWED: Final = "latest, latest:N, all, or version numbers such as 1,3"
_LARGEST: Final = 2**63
_DIGITS: Final = 19  # of the largest


class VersionPolicy(NamedTuple):
    """The `latest` so many of all versions, or those that are `named`; all, where both say nothing."""

    latest: int | None = None
    named: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Write it as the setting has it."""
        if self.named:
            return ",".join(map(str, self.named))
        return "all" if self.latest is None else f"latest:{self.latest}"


LATEST: Final = VersionPolicy(latest=1)
ALL: Final = VersionPolicy()


def parse_policy(text: str) -> VersionPolicy:
    """Read a policy. Raises `ValueError`."""
    word, colon, count = text.partition(":")
    if word == "latest":
        return VersionPolicy(latest=_positive(count)) if colon else LATEST
    if text == "all":
        return ALL
    numbers = [version_number(each.strip()) for each in text.split(",")]
    named = tuple(number for number in numbers if number is not None)
    if len(named) < len(numbers):
        raise ValueError(text)
    return VersionPolicy(named=named)


def version_number(name: str) -> int | None:
    """The version that a folder of that name holds; None: it holds none."""
    digits = name.isascii() and name.isdecimal() and len(name.lstrip("0")) <= _DIGITS
    return int(name) if digits and int(name) < _LARGEST else None


def chosen(policy: VersionPolicy, there: Collection[int]) -> list[int]:
    """The versions to serve of those that are there, the highest first; those named that are not there are left out."""
    falling = sorted(there, reverse=True)
    if policy.named:
        return [version for version in falling if version in policy.named]
    return falling if policy.latest is None else falling[: policy.latest]


def _positive(text: str) -> int:
    number = version_number(text)
    if not number:
        raise ValueError(text)
    return number
