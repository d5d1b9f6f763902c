"""The creation of a new function's folder from the files in template/."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from knative.function.training import TRAINER
from runtime.errors import BadSetting
from runtime.settings import FUNCTION, MANIFEST, SOURCE

TEMPLATE: Final = Path(__file__).with_name("template")
FILES: Final = (SOURCE, TRAINER, "test_main.py", "requirements.txt", MANIFEST, FUNCTION)
_NAME: Final = "example-function"  # in the template's files
_CREATED: Final = "2026-01-01T00:00:00Z"
_ALLOWED: Final = re.compile(r"[a-z]([-a-z0-9]{0,40}[a-z0-9])?")


def create(folder: Path, *, now: datetime | None = None) -> str:
    """Create the folder with all files, and return the name of its model.

    Raises `BadSetting` for a folder that exists, and for a name that Knative does not allow for a Service.
    """
    name = folder.name.replace("_", "-")
    if not _ALLOWED.fullmatch(name):
        allowed = (
            "at most 42 lower-case letters, digits, - and _, starting with a letter: the Knative Service has the same "
            "name"
        )
        raise BadSetting("NAME", value=folder.name, allowed=allowed)
    if folder.exists():
        raise BadSetting("NAME", value=str(folder), allowed="a folder that does not exist yet")
    folder.mkdir(parents=True)
    created = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for file in FILES:
        text = (TEMPLATE / file).read_text("utf-8")
        (folder / file).write_text(text.replace(_NAME, name).replace(_CREATED, created), "utf-8")
    return name
