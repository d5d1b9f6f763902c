"""A new function that needs a package which the runtime does not have: `python -m tests.e2e.created` writes its folder.

scripts/test then builds its image, before the tests: a build needs the package index, which the cluster does not reach.
"""

import shutil

from knative.function.creating import create
from tests import ROOT
from tests.e2e.functions import small

FOLDER = ROOT / ".local" / "e2e" / "my_function"


def main() -> None:
    """Write the folder anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    create(FOLDER)
    (FOLDER / "requirements.txt").write_text("humanize>=4,<5\n")
    source = FOLDER / "main.py"
    text = source.read_text().replace("import flask\n", "import flask\nimport humanize\n")
    source.write_text(text.replace('return {"species"', 'return {"rows": humanize.intcomma(len(rows)), "species"'))
    small(FOLDER / "func.yaml")


if __name__ == "__main__":
    main()
