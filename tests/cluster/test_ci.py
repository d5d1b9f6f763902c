"""Tests of `.ci/run` and `scripts/test` with stubs for the programs that they call: calls, exit codes, cleanup."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests import ROOT
from tests.waiting import DEADLINE, eventually

CALL = 'echo "{name} $*" >>log\n'
STUBS = {
    "scripts/venv": "",
    "scripts/check": CALL.format(name="check") + "exit ${CHECK:-0}\n",
    "scripts/image": CALL.format(name="image")
    + """\
[ -z "${SLOW:-}" ] || { echo "$$" >image.pid; exec sleep 600; }
exit ${IMAGE:-0}
""",
    "scripts/cluster": CALL.format(name="cluster")
    + """\
case $1 in
  status) [ -f up ] ;;
  requirements) exit ${REQUIREMENTS:-0} ;;
  up) [ "${UP:-0}" = 0 ] && touch up ;;
  down) rm -f up ;;
  exec) shift 2; exec "$@" ;;
esac
""",
    ".venv/bin/python": """\
case "$*" in
  *--ignore*)
    echo unit >>log
    [ -z "${LOSE_CLUSTER:-}" ] || rm up
    [ -z "${SLOW:-}" ] || exec sleep 600
    exit ${UNIT:-0} ;;
  *tests.e2e.created) ;;
  *) echo e2e >>log; exit ${E2E:-0} ;;
esac
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the two real scripts, and stubs that log their calls."""
    for name, body in STUBS.items():
        script = tmp_path / name
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(f"#!/usr/bin/env bash\n{body}")
        script.chmod(0o755)
    for name in ("scripts/test", ".ci/run"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def start(project: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command with a closed standard input, as some services do."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.Popen(
        ["bash", "-c", 'exec "$@" <&-', "-", *command],
        cwd=project,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def calls(project: Path) -> list[str]:
    return (project / "log").read_text().splitlines()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({}, id="none"),
        pytest.param({"CHECK": "1"}, id="check"),
        pytest.param({"UNIT": "1"}, id="a test"),
        pytest.param({"E2E": "1"}, id="a test on the cluster"),
    ],
)
def test_every_step_runs_after_a_failure_and_each_failure_counts(project: Path, fault: dict[str, str]) -> None:
    with start(project, ".ci/run", **fault) as running:
        assert running.wait(DEADLINE) == (1 if fault else 0)
    assert {"unit", "image ", "e2e", "cluster down"} <= set(calls(project))
    assert not (project / "up").exists()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"REQUIREMENTS": "1"}, id="a requirement is missing"),
        pytest.param({"UP": "1"}, id="it does not start"),
        pytest.param({"LOSE_CLUSTER": "1"}, id="it stops during the other tests"),
        pytest.param({"IMAGE": "1"}, id="no image"),
    ],
)
def test_without_the_cluster_or_the_image_the_other_tests_run_and_the_script_fails(
    project: Path, fault: dict[str, str]
) -> None:
    with start(project, ".ci/run", **fault) as running:
        assert running.wait(DEADLINE) == 1
    assert "unit" in calls(project)
    assert "e2e" not in calls(project)


def test_a_running_cluster_keeps_running(project: Path) -> None:
    (project / "up").touch()
    with start(project, "scripts/test", "--cluster") as running:
        assert running.wait(DEADLINE) == 0
    assert "e2e" in calls(project)
    assert "cluster down" not in calls(project)


def test_the_last_line_reports_a_missing_cluster_and_the_command_that_starts_one(project: Path) -> None:
    with start(project, "scripts/test") as running:
        assert running.wait(DEADLINE) == 0
        assert running.stdout is not None
        last = running.stdout.read().splitlines()[-1]
    assert "there is no cluster" in last
    assert "scripts/cluster up" in last
    assert "e2e" not in calls(project)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_its_children_and_the_cluster(project: Path, number: signal.Signals) -> None:
    """Only the first process gets the signal. Its children keep the pipe open until they end."""
    with start(project, ".ci/run", SLOW="1") as running:
        image = project / "image.pid"
        eventually(lambda: image.exists() and image.read_text().endswith("\n") and "unit" in calls(project))
        running.send_signal(number)
        running.communicate(timeout=DEADLINE)
        assert running.returncode == -number
    assert calls(project)[-1] == "cluster down"
    assert not psutil.pid_exists(int(image.read_text()))
    assert not (project / "up").exists()
