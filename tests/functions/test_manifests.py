"""Each folder can be deployed: `check` finds nothing, and the image is one that `scripts/image` builds."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from runtime.cli import scalezero
from scripts.images.cli import default_tag
from tests import ROOT

FOLDERS = sorted(path.parent for path in (ROOT / "functions").glob("*/func.yaml"))
GUESTS = {each for each in FOLDERS if not (each / "main.py").is_file()}
every_function = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(scalezero, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_functions_are_found() -> None:
    assert {each.name for each in FOLDERS} >= {"digits", "file_type", "wasm_digits"}
    assert {each.name for each in GUESTS} == {"wasm_digits"}


@every_function
def test_check_finds_nothing(folder: Path) -> None:
    assert run("check", str(folder), "--offline", "--strict") == "nothing found\n"


@every_function
def test_the_pod_runs_the_function(folder: Path) -> None:
    rendered: list[dict[str, Any]] = list(yaml.safe_load_all(run("render", str(folder))))
    (service,) = (each for each in rendered if each["kind"] == "Service")
    (container,) = service["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    name = folder.name.replace("_", "-")
    if folder in GUESTS:  # it is in the registry, not in the image
        assert container["image"] == default_tag(extras=["wasm"]) == "dev.local/scalezero:0.1.0-wasm"
        assert variables["SCALEZERO_GUEST_URI"] == f"s3://models/{name}/guest/1.0.0/main.wasm"
    else:
        assert container["image"] == default_tag([folder]) == f"dev.local/{name}:0.1.0"
        assert variables["FUNCTION_SOURCE"] == str((folder / "main.py").relative_to(ROOT))
    assert variables["SCALEZERO_MODEL_URI"] == f"s3://models/{name}-v1.onnx"
