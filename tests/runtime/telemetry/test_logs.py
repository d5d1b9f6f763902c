"""Log lines: one JSON object with the fields of the record, or text on a terminal."""

import json
import os
import re
import subprocess
import sys
from contextlib import suppress

import pytest

CODE = """
import logging
from runtime.telemetry import logs
logs.set_up("info", revision="payment-model-v1", service=None)
logging.getLogger("scalezero.model").info("model ready", extra={"model": "m", "pull_ms": 1.5})
logging.getLogger("scalezero.model").debug("below the level")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("scalezero").exception("broken\\nin two lines")
"""


def test_every_line_is_json_with_its_fields() -> None:
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
    """Return what a process writes to standard error on a terminal."""
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs, stdout=subprocess.DEVNULL) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # EIO: the process has closed its end
            while piece := os.read(ours, 65536):
                text += piece
        assert process.wait() == 0
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def test_on_a_terminal_lines_are_text_and_a_traceback_follows_its_line() -> None:
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


def test_lines_of_a_request_have_its_bound_fields() -> None:
    done = subprocess.run([sys.executable, "-c", BOUND], capture_output=True, text=True, check=True)
    lines = map(json.loads, done.stderr.splitlines())
    assert {line["message"]: line.get("request_id") for line in lines} == {
        "in the request": "r-1",
        "on its thread": "r-1",
        "with its own": "mine",
        "outside": None,
    }


HELD = """
import logging
from runtime.telemetry import logs
held = logs.hold()
logging.getLogger("scalezero.model").warning("variant not served", extra={"variant": "openvino"})
logging.getLogger("scalezero.model").error("broken")
logs.set_up("LEVEL", revision="m-v1")
held.pass_on()
logging.getLogger("scalezero.model").error("later")
"""


@pytest.mark.parametrize(
    ("level", "messages"),
    [("info", ["variant not served", "broken", "later"]), ("error", ["broken", "later"])],
)
def test_lines_from_before_the_logs_are_set_up_have_the_same_form(level: str, messages: list[str]) -> None:
    command = [sys.executable, "-c", HELD.replace("LEVEL", level)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = list(map(json.loads, done.stderr.splitlines()))
    assert [each["message"] for each in lines] == messages
    assert {each["revision"] for each in lines} == {"m-v1"}
    assert lines[0].get("variant") == ("openvino" if level == "info" else None)
