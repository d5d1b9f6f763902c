"""The functions that the tests deploy, with small resource requests: payment-model, and models without code."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests import ROOT
from tests.e2e.namespace import SECRET

PAYMENT_MODEL = ROOT / "functions" / "payment_model"
NOTHING: Mapping[str, str] = MappingProxyType({})
SMALL_REQUESTS = {"cpu: 250m": "cpu: 50m", "memory: 256Mi": "memory: 128Mi"}  # the limits stay unchanged
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
    """Return the image in the project's func.yaml."""
    return next(line for line in (ROOT / "func.yaml").read_text().splitlines() if line.startswith("image:")).split()[1]


def function_yaml(name: str, *, secret: str = SECRET) -> str:
    """Return a func.yaml for models without code. The Secret has the keys of the registry."""
    return FUNCTION.format(name=name, image=image(), secret=secret)


def payment_model(folder: Path, *, model: Mapping[str, str] = NOTHING, function: Mapping[str, str] = NOTHING) -> Path:
    """Copy the function's folder with its func.yaml; `model` and `function` replace texts in the two YAML files."""
    made = folder / "payment_model"
    shutil.copytree(PAYMENT_MODEL, made, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = made / "model.yaml"
    manifest.write_text(_replaced(manifest.read_text(), model))
    (made / "func.yaml").write_text(_replaced((ROOT / "func.yaml").read_text(), {**SMALL_REQUESTS, **function}))
    return made


def reduce_requests(function: Path) -> None:
    """Reduce the resource requests in a func.yaml."""
    function.write_text(_replaced(function.read_text(), SMALL_REQUESTS))


def _replaced(text: str, others: Mapping[str, str]) -> str:
    for old, new in others.items():
        assert old in text, f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text
