"""The tests. Folders mirror the source: tests/runtime, tests/knative, tests/scripts; the others test the whole."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent  # of the repository
