"""`scripts/cluster` as it is called: what it refuses, in one line, before anything starts."""

import re
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

SCRIPT = ROOT / "scripts" / "cluster"


def called(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
    return subprocess.run([SCRIPT, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    commands = set(re.findall(r"^  ([a-z0-9]+) ", called("--help", home=tmp_path).stdout, re.MULTILINE))
    assert commands == {"up", "down", "status", "shell", "exec", "load", "s3", "logs", "requirements"}


def test_no_command_is_the_usage_on_standard_error(tmp_path: Path) -> None:
    done = called(home=tmp_path)
    assert done.returncode == 2
    assert done.stderr == called("--help", home=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["start"], "unknown command start; scripts/cluster --help lists them"),
        (["status", "-v"], "status takes no arguments, and got more: -v"),
        (["logs", "etcd", "dns"], "logs takes 1 argument, and got more: etcd dns"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    done = called(*arguments, home=tmp_path)
    assert done.returncode in {1, 2}
    assert done.stderr == f"scripts/cluster: {sentence}\n"
    assert not list(tmp_path.iterdir()), "nothing has started"
