"""The tests. The folders runtime, knative and scripts mirror the source; the other folders test the whole system."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent  # of the repository
