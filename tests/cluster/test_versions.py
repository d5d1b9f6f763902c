"""Tests that the pinned versions are consistent, and match the programs of the build."""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
GO_MOD = (HERE / "tools" / "go.mod").read_text()
BUILD = (HERE / "build.sh").read_text()


def required(module: str) -> str:
    found = re.search(rf"^\t{re.escape(module)} (v\S+)", GO_MOD, re.MULTILINE)
    assert found is not None, f"go.mod does not require {module}"
    return found[1]


def listed(array: str) -> list[str]:
    """Return a bash array of words in build.sh."""
    found = re.search(rf"^{array}=\((.*)\)$", BUILD, re.MULTILINE)
    assert found is not None, f"build.sh has no array {array}"
    return found[1].split()


def test_kubernetes_staging_modules_have_the_version_of_kubernetes() -> None:
    version = required("k8s.io/kubernetes").replace("v1.", "v0.", 1)
    replaced = re.findall(r"^\t(k8s\.io/\S+) => \1 (v\S+)$", GO_MOD, re.MULTILINE)
    assert len(replaced) > 20
    assert {found for _, found in replaced} == {version}


def test_the_client_and_the_gateway_have_the_version_of_serving() -> None:
    serving = required("knative.dev/serving")
    assert required("knative.dev/client") == serving
    assert required("knative.dev/net-kourier") == serving


def test_go_mod_pins_exactly_the_knative_programs_of_the_build() -> None:
    pinned = set(re.findall(r"^\t(knative\.dev/\S+/cmd/\S+)$", GO_MOD, re.MULTILINE))
    built = {f"knative.dev/serving/cmd/{name}" for name in listed("SERVING")}
    built |= {f"knative.dev/eventing/cmd/{name}" for name in listed("EVENTING")}
    assert pinned == built | {"knative.dev/net-kourier/cmd/kourier", "knative.dev/client/cmd/kn"}


def test_no_module_is_replaced_by_a_folder() -> None:
    assert not re.search(r"=>\s+[./]", GO_MOD)


def test_another_set_of_programs_has_another_cache_folder(tmp_path: Path) -> None:
    copy = tmp_path / "project" / "tests" / "cluster"
    copy.parent.mkdir(parents=True)
    subprocess.run(["cp", "-r", HERE, copy], check=True)
    before = build_key(copy)
    assert before == build_key(copy)
    with (copy / "tools" / "go.sum").open("a") as sums:
        sums.write("\n")
    assert build_key(copy) != before


def build_key(folder: Path) -> str:
    command = ["bash", "-c", f". {folder}/settings.sh; build_key"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
