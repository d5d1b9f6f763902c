"""A log line is one JSON object with the facts that the code gave, or text on a terminal."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress

CODE = """
import logging
from runtime.telemetry import logs
logs.set_up("info", revision="payment-model-v1", service=None)
logging.getLogger("scalezero.model").info("model ready", extra={"model": "m", "pull_ms": 1.5})
logging.getLogger("scalezero.model").debug("not told")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("scalezero").exception("broken\\nin two lines")
"""


def test_every_line_is_json_with_its_facts() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    ready, broken = map(json.loads, done.stderr.splitlines())
    assert ready.pop("time")
    assert ready == {
        "level": "INFO",
        "logger": "scalezero.model",
        "message": "model ready",
        "model": "m",
        "pull_ms": 1.5,
        "revision": "payment-model-v1",
    }
    assert "ZeroDivisionError" in broken["exc_info"]


def on_a_terminal(code: str) -> str:
    """What a process writes to a standard error that is a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(ours, 65536):
                text += piece
        assert process.wait() == 0
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def test_on_a_terminal_lines_are_text_and_tracebacks_have_their_own_lines() -> None:
    ready, *broken = on_a_terminal(CODE).splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    model ready model=m pull_ms=1.5", ready)
    assert broken[:2] == [broken[0], "in two lines"]
    assert broken[2] == "Traceback (most recent call last):"
    assert broken[-1] == "ZeroDivisionError: division by zero"


BOUND = """
import logging, threading
from contextvars import copy_context
from runtime.telemetry import logs
logs.set_up("info")
log = logging.getLogger("author")
def bound():
    logs.bind({"request_id": "r-1"})
    log.info("in the request")
    thread = threading.Thread(target=copy_context().run, args=(log.info, "on its thread"))
    thread.start(); thread.join()
    log.info("with its own", extra={"request_id": "mine"})
copy_context().run(bound)
log.info("outside")
"""


def test_lines_of_a_request_have_the_facts_that_are_bound_to_it() -> None:
    done = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=True)
    lines = map(json.loads, done.stderr.splitlines())
    assert {line["message"]: line.get("request_id") for line in lines} == {
        "in the request": "r-1",
        "on its thread": "r-1",
        "with its own": "mine",
        "outside": None,
    }
