"""The bounds of the choice are the same finite numbers in each command."""

import json

import click
import pytest
from click.testing import CliRunner

from runtime.variants.options import bounds


@click.command()
@bounds()
def command(**given: object) -> None:
    """Print the options."""
    click.echo(json.dumps(given))


@pytest.mark.parametrize(
    "option",
    [
        *(f"--max-accuracy-loss={each}" for each in ("nan", "inf", "-inf", "-0.1", "1.1")),
        *(f"--min-speedup={each}" for each in ("nan", "inf", "0.9", "1001", "fast")),
        *(f"--batch-size={each}" for each in ("0", "4097")),
    ],
)
def test_a_bound_that_is_not_finite_or_out_of_range_is_an_error(option: str) -> None:
    result = CliRunner().invoke(command, [option])
    assert result.exit_code == 2
    assert f"Invalid value for '{option.partition('=')[0]}'" in result.output


def test_the_limits_themselves_are_accepted() -> None:
    result = CliRunner().invoke(command, ["--max-accuracy-loss=0", "--min-speedup=1000", "--batch-size=4096"])
    expected = {"max_accuracy_loss": 0.0, "min_speedup": 1000.0, "accept_unjudged": False, "batch_size": 4096}
    assert json.loads(result.output) == expected
