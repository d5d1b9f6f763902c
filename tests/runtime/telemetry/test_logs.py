"""A log line is one JSON object with the facts that the code gave."""

import json
import subprocess
import sys

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
