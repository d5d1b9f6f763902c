"""`scalezero serve --reload`: a child process that serves, and is restarted after each change of a watched file."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import watchfiles
from click import echo
from watchfiles import Change


def serve_and_reload(folder: Path, command_line: Sequence[str]) -> None:
    """Run this command line with Python until Ctrl-C, and watch the files below `folder`."""
    command = shlex.join([sys.executable, *command_line])
    watchfiles.run_process(folder, target=command, target_type="command", callback=_report)


def _report(changes: set[tuple[Change, str]]) -> None:
    names = ", ".join(sorted({Path(path).name for _, path in changes}))
    echo(f"scalezero: {names} changed; restarting", err=True)
