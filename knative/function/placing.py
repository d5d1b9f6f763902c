"""Where the image has the author's function: all of functions/ lies in its working directory, and nothing else does."""

from pathlib import Path
from typing import Final

FUNCTIONS: Final = "functions"


def in_image(handler: Path) -> Path | None:
    """Say where the image has an author's function; None where it has it not.

    It is functions/NAME/main.py there, wherever the command runs.
    """
    folder = handler.resolve().parent
    return Path(FUNCTIONS, folder.name, handler.name) if folder.parent.name == FUNCTIONS else None
