"""Starts a server on one core, reads its resource usage, and stops it with all its child processes."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from scripts.benchmarks.faults import CannotMeasure

PORT: Final = "{port}"  # placeholder of the port: an argument of a launch's command, or the value of a variable
# Variables of a user's shell that a pod does not have: settings, Knative's variables, and those that disable bytecode.
REMOVED_PREFIXES: Final = (
    "SCALEZERO_",
    "FUNCTION_",
    "K_",
    "AWS_",
    "MOSEC_",
    "BENTOML_",
    "MLSERVER_",
    "KSERVE_",
    "PYTRITON_",
    "TS_",
    "JAVA_",
    "JDK_JAVA_",
    "_JAVA_",
)
REMOVED: Final = frozenset({"PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
TERMINATION_GRACE_SECONDS: Final = 10.0  # from SIGTERM to SIGKILL
ORPHAN_GRACE_SECONDS: Final = 1.0  # for child processes that outlive the server


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """The command that starts a server, and the path of its predictions."""

    label: str
    command: Sequence[str]
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)  # added to the environment of this process


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A started server. `started` is in seconds of the monotonic clock."""

    launch: Launch
    process: subprocess.Popen[bytes]
    port: int
    started: float
    log: Path

    def raise_if_exited(self) -> None:
        """Raise CannotMeasure with the end of its log if it has exited."""
        if self.process.poll() is not None:
            raise CannotMeasure(f"{self.launch.label} exited with {self.process.returncode}: {self.log_tail()}")

    def log_tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(errors="replace").strip()[-600:] or "its log is empty"

    def memory(self) -> float:
        """Return the proportional set size of all its processes, in bytes. Shared memory counts once.

        Raises CannotMeasure if one of them exits meanwhile.
        """
        try:
            return float(sum(process.memory_full_info().pss for process in self._tree()))
        except psutil.Error as error:
            raise CannotMeasure(f"cannot read the memory of {self.launch.label}: {error}") from error

    def peak_memory(self) -> float:
        """Return the sum of the largest resident set sizes of its processes, in bytes.

        Raises CannotMeasure if one of them exits meanwhile.
        """
        try:
            return float(sum(_peak(Path(f"/proc/{process.pid}/status").read_text()) for process in self._tree()))
        except OSError as error:
            raise CannotMeasure(f"cannot read the memory of {self.launch.label}: {error}") from error

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that all its processes have used, with a resolution of 0.01 s.

        Raises CannotMeasure if one of them exits meanwhile.
        """
        try:
            return sum(sum(process.cpu_times()[:2]) for process in self._tree())
        except psutil.Error as error:
            raise CannotMeasure(f"cannot read the CPU time of {self.launch.label}: {error}") from error

    def pause(self) -> None:
        """Stop all its processes with SIGSTOP, so that they use no CPU time."""
        for process in self._tree():  # not only its process group: a server may start workers in their own groups
            _signal(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        for process in reversed(self._tree()):  # children first: a supervisor must not see stopped workers
            _signal(process, signal.SIGCONT)

    def stop(self) -> None:
        """Stop the server and all its child processes."""
        tree = self._tree()
        self.resume()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        psutil.wait_procs(tree[:1], timeout=TERMINATION_GRACE_SECONDS)
        _, left = psutil.wait_procs(tree, timeout=ORPHAN_GRACE_SECONDS)
        for process in left:
            _signal(process, signal.SIGKILL)
        self.process.wait()

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _peak(status: str) -> int:
    """Return VmHWM of /proc/PID/status (proc(5)), in bytes; 0 for a zombie process."""
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) * 1024 for words in lines), 0)


def _signal(process: psutil.Process, which: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(which)


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_mapping(library: str, folder: Path) -> list[int]:
    """Return the ids of the processes that map a file in a folder if its path contains the name of a library."""
    found = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it has exited, or we have no permission to read it
            if any(str(folder) in line and library in line for line in maps.read_text(errors="replace").splitlines()):
                found.append(int(maps.parent.name))
    return found


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables that change the behaviour of a server."""
    return {
        name: value for name, value in environ.items() if name not in REMOVED and not name.startswith(REMOVED_PREFIXES)
    }


def pinned(cpu: int, command: Sequence[str]) -> list[str]:
    """Return the command, pinned to one core from the start."""
    return ["taskset", "-c", str(cpu), *command]


@contextmanager
def running(launch: Launch, *, cpu: int) -> Iterator[Server]:
    """Start a server on one core, in its own process group and working folder; stop it at the end.

    It may not listen yet when the block starts.
    """
    port = free_port()
    command = [str(port) if word == PORT else word for word in launch.command]
    environment = {name: str(port) if value == PORT else value for name, value in launch.environment.items()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, (Path(folder) / "server.log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            pinned(cpu, command),
            cwd=folder,
            env={**clean_environment(os.environ), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        server = Server(launch=launch, process=process, port=port, started=started, log=Path(log.name))
        try:
            yield server
        finally:
            server.stop()
