"""The versions to serve from a folder with numbered versions, as in TensorFlow Serving's version policies. Pure.

    latest     the highest version       latest:2   the two highest versions
    all        all versions              1,3        versions 1 and 3

Source: TensorFlow Serving, FileSystemStoragePathSourceConfig.ServableVersionPolicy.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

ALLOWED: Final = "latest, latest:N, all, or version numbers such as 1,3"
_LARGEST: Final = 2**63
_DIGITS: Final = 19  # of the largest version


class VersionPolicy(NamedTuple):
    """A selection of versions: the `latest` ones, the `named` ones, or all if neither is set."""

    latest: int | None = None  # how many of the highest versions
    named: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the policy in the form of the setting."""
        if self.named:
            return ",".join(map(str, self.named))
        return "all" if self.latest is None else f"latest:{self.latest}"


LATEST: Final = VersionPolicy(latest=1)
ALL: Final = VersionPolicy()


def parse_policy(text: str) -> VersionPolicy:
    """Parse a policy. Raises `ValueError`."""
    kind, colon, count = text.partition(":")
    if kind == "latest":
        return VersionPolicy(latest=_positive(count)) if colon else LATEST
    if text == "all":
        return ALL
    numbers = [version_number(each.strip()) for each in text.split(",")]
    named = tuple(number for number in numbers if number is not None)
    if len(named) < len(numbers):
        raise ValueError(text)
    return VersionPolicy(named=named)


def version_number(name: str) -> int | None:
    """Return the version number that a folder's name is, or None if the name is not a version number."""
    digits = name.isascii() and name.isdecimal() and len(name.lstrip("0")) <= _DIGITS
    return int(name) if digits and int(name) < _LARGEST else None


def select_versions(policy: VersionPolicy, available: Collection[int]) -> list[int]:
    """Return the versions to serve, the highest first. Named versions that are not available are left out."""
    descending = sorted(available, reverse=True)
    if policy.named:
        return [version for version in descending if version in policy.named]
    return descending if policy.latest is None else descending[: policy.latest]


def _positive(text: str) -> int:
    number = version_number(text)
    if not number:
        raise ValueError(text)
    return number
