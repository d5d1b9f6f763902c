"""What the options that verbs share take, and what they refuse."""

import click
import pytest

from knative.commands.options import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4s", 4.0),
        ("2m", 120.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("90", 90.0),
        ("0.5", 0.5),
        ("24h", 86400.0),
    ],
)
def test_a_duration_is_written_as_the_resources_write_it_or_in_plain_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "nan", "inf", "25h", "86401", "4 s", "2min", "", "1d"])
def test_no_time_too_much_and_what_is_no_duration_are_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r'expected more than 0 and up to 24h, such as "90s", "1m30s" or 90'):
        duration(text)
