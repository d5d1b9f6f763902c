"""A new function with an additional package and an event target. `python -m tests.e2e.created` writes its folder.

scripts/test then builds its image before the tests, because the cluster cannot reach the package index.
"""

import shutil

from knative.function.creating import create
from tests import ROOT
from tests.e2e.functions import reduce_requests

FOLDER = ROOT / ".local" / "e2e" / "my_function"
IMPORTS = "import humanize\nfrom cloudevents.http import CloudEvent\n"
ON_EVENT = '''

def on_event(event: CloudEvent) -> dict[str, object]:
    """Return the subject and the data of an event."""
    return {"subject": event.get("subject"), "data": event.get_data()}
'''


def main() -> None:
    """Write the folder, and replace an earlier one."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    create(FOLDER)
    (FOLDER / "requirements.txt").write_text("humanize>=4,<5\n")
    source = FOLDER / "main.py"
    text = source.read_text().replace("import flask\n", f"import flask\n{IMPORTS}")
    text = text.replace('return {"species"', 'return {"rows": humanize.intcomma(len(rows)), "species"')
    source.write_text(text + ON_EVENT)
    reduce_requests(FOLDER / "func.yaml")


if __name__ == "__main__":
    main()
