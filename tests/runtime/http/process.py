"""A server in a process of its own, for what only a whole process shows: its exit code, its memory, its open files."""

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
    """The process as a test sees it."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        super().__init__(port)
        self.process = process

    def memory(self) -> int:
        """Bytes that are resident."""
        size: int = psutil.Process(self.process.pid).memory_info().rss
        return size


@contextmanager
def serving_process(*, files: int | None = None, grace: float = 10, **limits: float) -> Iterator[Process]:
    """A server with these limits, and with so many open files at most, until the block ends."""
    settings = json.dumps({"files": files, "grace": grace, "limits": limits})
    command = [sys.executable, "-m", "tests.runtime.http.process", settings]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Process(process, int(process.stdout.readline()))
        finally:
            process.kill()


class _Serving(Running):
    """As `server.run` asks of what all ports share."""

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
