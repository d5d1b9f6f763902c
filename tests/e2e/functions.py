"""The functions that the tests deploy, small for a crowded node: payment-model as it is, and models alone."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests import ROOT
from tests.e2e.namespace import SECRET

PAYMENT_MODEL = ROOT / "functions" / "payment_model"
NOTHING: Mapping[str, str] = MappingProxyType({})
SMALL = {"cpu: 250m": "cpu: 50m", "memory: 256Mi": "memory: 128Mi"}  # what is asked of the node; the limits stay
FUNCTION = """\
specVersion: 0.36.0
name: {name}
runtime: python
created: 2026-11-23T00:00:00Z
image: {image}
run:
  envs:
    - name: AWS_ACCESS_KEY_ID
      value: "{{{{ secret:{secret}:AWS_ACCESS_KEY_ID }}}}"
    - name: AWS_SECRET_ACCESS_KEY
      value: "{{{{ secret:{secret}:AWS_SECRET_ACCESS_KEY }}}}"
deploy:
  options:
    resources:
      requests: {{cpu: 50m, memory: 128Mi}}
      limits: {{cpu: "1", memory: 512Mi}}
"""


def image() -> str:
    """The image that the project's func.yaml names."""
    return next(line for line in (ROOT / "func.yaml").read_text().splitlines() if line.startswith("image:")).split()[1]


def function_yaml(name: str, *, secret: str = SECRET) -> str:
    """A func.yaml for models alone; the Secret holds the registry's keys."""
    return FUNCTION.format(name=name, image=image(), secret=secret)


def payment_model(folder: Path, *, model: Mapping[str, str] = NOTHING, function: Mapping[str, str] = NOTHING) -> Path:
    """Copy the function's folder, with its func.yaml; texts of model.yaml and func.yaml are replaced by others."""
    made = folder / "payment_model"
    shutil.copytree(PAYMENT_MODEL, made, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = made / "model.yaml"
    manifest.write_text(_replaced(manifest.read_text(), model))
    (made / "func.yaml").write_text(_replaced((ROOT / "func.yaml").read_text(), {**SMALL, **function}))
    return made


def small(function: Path) -> None:
    """Have the func.yaml ask little of the node."""
    function.write_text(_replaced(function.read_text(), SMALL))


def _replaced(text: str, others: Mapping[str, str]) -> str:
    for old, new in others.items():
        assert old in text, f"{old!r} stands there no more"
        text = text.replace(old, new)
    return text
