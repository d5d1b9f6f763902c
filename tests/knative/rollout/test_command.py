"""The arguments that the command refuses before it reads the cluster."""

import pytest
from click.testing import CliRunner

from runtime.cli import scalezero


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["m"], "--to: not set; expected a revision, or --abort, and not both", id="neither --to nor --abort"
        ),
        pytest.param(
            ["m", "--to", "v2", "--abort"], "--to='v2': expected a revision, or --abort", id="--to and --abort"
        ),
        pytest.param(
            ["m", "--to", "v2", "--steps", "5,x"],
            "'5,x': expected ascending percentages",
            id="a step that is not a number",
        ),
        pytest.param(["m", "--to", "v2", "--interval", "0"], "'--interval'", id="an interval of 0"),
        pytest.param(["m", "--to", "v2", "--interval", "4 s"], "'4 s': expected more than 0", id="an invalid duration"),
        pytest.param(["m", "--to", "v2", "--max-latency", "0.5"], "'--max-latency'", id="a ratio of latencies below 1"),
        pytest.param([], "Missing argument 'MODEL'", id="no model"),
    ],
)
def test_invalid_arguments_end_with_a_message_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(scalezero, ["rollout", *arguments], prog_name="scalezero")
    assert result.exit_code == 2
    assert message in result.output
