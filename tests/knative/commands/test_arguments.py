"""The values that the shared options of the commands accept and refuse."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from knative.commands.arguments import duration, files


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
def test_a_duration_has_a_unit_or_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "nan", "inf", "25h", "86401", "4 s", "2min", "", "1d"])
def test_an_invalid_duration_is_refused_with_the_accepted_values(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r'expected more than 0 and up to 24h, such as "90s", "1m30s" or 90'):
        duration(text)


@click.command()
@files
def echo(paths: tuple[Path, ...]) -> None:
    """Print the paths."""
    click.echo(" ".join(each.name for each in paths))


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [(["a"], "a"), (["-f", "a"], "a"), (["a", "b"], "a b"), (["-f", "b", "a", "-f", "a"], "a b a")],
)
def test_files_are_arguments_or_values_of_the_flag(tmp_path: Path, arguments: list[str], paths: str) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    command_line = [each if each.startswith("-") else str(tmp_path / each) for each in arguments]
    assert CliRunner().invoke(echo, command_line).output.split() == paths.split()


def test_a_command_without_files_is_refused() -> None:
    result = CliRunner().invoke(echo, [])
    assert result.exit_code == 2
    assert "no files; pass a manifest or a folder of manifests, as PATH or with -f" in result.output
