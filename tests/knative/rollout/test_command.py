"""What the command refuses before it looks for a cluster."""

import pytest
from click.testing import CliRunner

from runtime.cli import scalezero


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["m"], "--to: not set; expected a revision, or --abort, and not both", id="neither"),
        pytest.param(["m", "--to", "v2", "--abort"], "--to='v2': expected a revision, or --abort", id="both"),
        pytest.param(["m", "--to", "v2", "--steps", "5,x"], "'5,x': expected ascending percentages", id="no number"),
        pytest.param(["m", "--to", "v2", "--interval", "0"], "'--interval'", id="no time to watch"),
        pytest.param(["m", "--to", "v2", "--interval", "4 s"], "'4 s': expected more than 0", id="no duration"),
        pytest.param(["m", "--to", "v2", "--max-latency", "0.5"], "'--max-latency'", id="faster than the others"),
        pytest.param([], "Missing argument 'MODEL'", id="no model"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(scalezero, ["rollout", *arguments], prog_name="scalezero")
    assert result.exit_code == 2
    assert sentence in result.output
