"""A server in its own process, to test its exit code, its memory and its open files."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from runtime.http import server
from tests import ROOT
from tests.runtime.http.asgi_server import LIMITS, Client, Running


class Process(Client):
    """The server's process."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        super().__init__(port)
        self.process = process

    def cpu(self) -> float:
        """Return the seconds of the CPU that it has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Return the resident memory in bytes."""
        size: int = psutil.Process(self.process.pid).memory_info().rss
        return size


@contextmanager
def serving_process(*, files: int | None = None, grace: float = 10, **limits: float) -> Iterator[Process]:
    """Run a server with these limits, and with at most `files` open files, for the block."""
    settings = json.dumps({"files": files, "grace": grace, "limits": limits})
    command = [sys.executable, "-m", "tests.runtime.http.process", settings]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Process(process, int(process.stdout.readline()))
        finally:
            process.kill()


class _Serving(Running):
    """Also the lifespan for `server.run`."""

    async def open(self, end: Callable[[], None]) -> None:
        pass

    async def close(self) -> None:
        pass


def _serve(*, files: int | None, grace: float, limits: dict[str, Any]) -> None:
    if files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    serving = _Serving(LIMITS._replace(**limits))
    print(serving.port, flush=True)  # noqa: T201 - the parent reads it
    server.run(serving, [server.Port(serving, serving.listening)], limits=serving.limits, grace=grace)
    os._exit(0)


if __name__ == "__main__":
    _serve(**json.loads(sys.argv[1]))
