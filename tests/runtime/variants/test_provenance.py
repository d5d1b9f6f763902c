"""The time and the packages of a publication or a measurement."""

from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version

from runtime.variants.provenance import installed_versions, timestamp


def test_a_timestamp_is_in_utc_and_in_whole_seconds() -> None:
    assert timestamp(datetime(2026, 11, 29, 22, 5, 7, 900_000, UTC)) == "2026-11-29T22:05:07Z"
    assert timestamp(datetime(2026, 11, 29, 22, 5, 7, tzinfo=timezone(timedelta(hours=2)))) == "2026-11-29T20:05:07Z"


def test_packages_that_are_not_installed_are_left_out() -> None:
    assert installed_versions(["numpy", "no-such-package"]) == {"numpy": version("numpy")}
