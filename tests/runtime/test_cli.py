"""The command `scalezero` in an installation without some of its packages."""

import subprocess
import sys

import pytest

# None in sys.modules has the effect of a package that is not installed.
WITHOUT_MSGSPEC = "import sys; sys.modules['msgspec'] = None; from runtime.cli import main; main()"
REASON = "msgspec is not installed: pip install 'scalezero[resources]'"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_MSGSPEC, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_help_lists_a_command_whose_packages_are_missing() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = [each for each in done.stdout.splitlines() if each.startswith("  plan ")]
    assert "msgspec is not installed" in line
    assert any(each.startswith("  serve ") for each in done.stdout.splitlines())


@pytest.mark.parametrize("arguments", [("plan", "folder"), ("plan", "--help")])
def test_a_command_whose_packages_are_missing_says_how_to_install_them(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"scalezero: {REASON}\n")
