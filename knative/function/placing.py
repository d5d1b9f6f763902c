"""Where the image has the author's function: all of functions/ lies in its working directory, and nothing else does."""

from pathlib import Path
from typing import Final

from runtime.errors import BadSetting

FUNCTIONS: Final = "functions"
REMEDY: Final = (
    f"put its folder under {FUNCTIONS}/ and build an image that has it (scripts/image --tag ...), or name its path in "
    "an image of your own as FUNCTION_SOURCE in func.yaml"
)


def in_image(handler: Path) -> Path | None:
    """Say where the image has an author's function; None where it has it not.

    It is functions/NAME/main.py there, wherever the command runs.
    """
    folder = handler.resolve().parent
    return Path(FUNCTIONS, folder.name, handler.name) if folder.parent.name == FUNCTIONS else None


def without_place(handler: Path) -> BadSetting:
    """Say of a function that the image has not, what would be right."""
    allowed = (
        f"one in a folder of {FUNCTIONS}/, all of which the image holds (scripts/image builds it), or its path in "
        "an image of your own as FUNCTION_SOURCE in func.yaml"
    )
    return BadSetting("function", value=str(handler), allowed=allowed)
