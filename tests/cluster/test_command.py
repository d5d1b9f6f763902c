"""The command line of `scripts/cluster`: its help, and the errors for invalid calls."""

import re
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

SCRIPT = ROOT / "scripts" / "cluster"


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    commands = set(re.findall(r"^  ([a-z0-9]+) ", run("--help", home=tmp_path).stdout, re.MULTILINE))
    assert commands == {"up", "down", "status", "shell", "exec", "load", "s3", "logs", "requirements"}


def test_a_call_without_a_command_prints_the_usage_on_standard_error(tmp_path: Path) -> None:
    done = run(home=tmp_path)
    assert done.returncode == 2
    assert done.stderr == run("--help", home=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start"], "unknown command start; see scripts/cluster --help"),
        (["status", "-v"], "status takes no arguments, got: -v"),
        (["logs", "etcd", "dns"], "logs takes 1 argument, got: etcd dns"),
    ],
)
def test_an_invalid_call_gets_an_error_of_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(*arguments, home=tmp_path)
    assert done.returncode in {1, 2}
    assert done.stderr == f"scripts/cluster: {message}\n"
    assert not list(tmp_path.iterdir()), "no part has started"
