"""Start a server on one core, watch it, stop it with all that it started."""

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

PORT: Final = "{port}"  # a word of a launch's command, or a variable's value, that stands for the port
# What a person's shell may hold and a fresh pod does not: settings, Knative's variables, and what forbids bytecode.
FOREIGN_PREFIXES: Final = ("SCALEZERO_", "FUNCTION_", "K_", "AWS_", "MOSEC_", "BENTOML_", "MLSERVER_")
FOREIGN: Final = frozenset({"PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
PATIENCE_SECONDS: Final = 10.0  # from SIGTERM to SIGKILL
ORPHANS_SECONDS: Final = 1.0  # for what outlives the server that started it


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a server is started, and where it takes predictions."""

    label: str
    command: Sequence[str]
    path: str
    environment: Mapping[str, str] = field(default_factory=dict)  # on top of this process's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that was started, and when (seconds of the monotonic clock)."""

    launch: Launch
    process: subprocess.Popen[bytes]
    port: int
    started: float
    log: Path

    def must_run(self) -> None:
        """Raise CannotMeasure, with the end of its log, where it has ended."""
        if self.process.poll() is not None:
            raise CannotMeasure(f"{self.launch.label} exited with {self.process.returncode}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace").strip()[-600:] or "it logged nothing"

    def memory(self) -> float:
        """Proportional set size of all its processes, in bytes: what two of them share counts once.

        Raises CannotMeasure where one of them ends meanwhile.
        """
        try:
            return float(sum(process.memory_full_info().pss for process in self._tree()))
        except psutil.Error as error:
            raise CannotMeasure(f"{self.launch.label} cannot be weighed: {error}") from error

    def peak_memory(self) -> float:
        """The largest resident set that each of its processes has had, summed up, in bytes.

        Raises CannotMeasure where one of them ends meanwhile.
        """
        try:
            return float(sum(_peak(Path(f"/proc/{process.pid}/status").read_text()) for process in self._tree()))
        except OSError as error:
            raise CannotMeasure(f"{self.launch.label} cannot be weighed: {error}") from error

    def cpu_seconds(self) -> float:
        """CPU time that all its processes have used, in hundredths of a second.

        Raises CannotMeasure where one of them ends meanwhile.
        """
        try:
            return sum(sum(process.cpu_times()[:2]) for process in self._tree())
        except psutil.Error as error:
            raise CannotMeasure(f"{self.launch.label} cannot be timed: {error}") from error

    def pause(self) -> None:
        """Give the core to another server, background work included."""
        for process in self._tree():  # not the group: a server may give its workers groups of their own
            _signal(process, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        for process in reversed(self._tree()):  # who watches over others must not find them standing still
            _signal(process, signal.SIGCONT)

    def stop(self) -> None:
        """End it and all that it started."""
        tree = self._tree()
        self.resume()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        psutil.wait_procs(tree[:1], timeout=PATIENCE_SECONDS)
        _, left = psutil.wait_procs(tree, timeout=ORPHANS_SECONDS)
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
    """VmHWM of /proc/PID/status (proc(5)), in bytes; 0 for a process that has ended and waits to be reaped."""
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) * 1024 for words in lines), 0)


def _signal(process: psutil.Process, which: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(which)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mapped_by(library: str, folder: Path) -> list[int]:
    """The ids of the processes that map a file below a folder whose path names a library."""
    found = []
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):  # it ended meanwhile, or is not ours to look into
            if any(str(folder) in line and library in line for line in maps.read_text(errors="replace").splitlines()):
                found.append(int(maps.parent.name))
    return found


def neutral(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would change how a server behaves."""
    return {
        name: value for name, value in environ.items() if name not in FOREIGN and not name.startswith(FOREIGN_PREFIXES)
    }


def pinned(cpu: int, command: Sequence[str]) -> list[str]:
    """The command, on one core from its first instruction on."""
    return ["taskset", "-c", str(cpu), *command]


@contextmanager
def running(launch: Launch, *, cpu: int) -> Iterator[Server]:
    """A server on one core, in a process group and a working folder of its own, stopped at the end.

    It may not listen yet.
    """
    port = free_port()
    command = [str(port) if word == PORT else word for word in launch.command]
    environment = {name: str(port) if value == PORT else value for name, value in launch.environment.items()}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, (Path(folder) / "server.log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(
            pinned(cpu, command),
            cwd=folder,
            env={**neutral(os.environ), **environment},
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
