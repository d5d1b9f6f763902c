"""The image as a pod has it: as its revision asks for it, with another command."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.e2e.namespace import Namespace, until

# What it finds out is one line of JSON: there is no shell in the image that could ask.
INSIDE = """
import base64, json, os, pathlib, shutil, sysconfig

def refused(path):
    try:
        open(path, "w")
    except OSError as error:
        return error.strerror

def compiled(folder):
    sources = pathlib.Path(folder).rglob("*.py")
    return [str(each) for each in sources if not list(each.parent.glob(f"__pycache__/{each.stem}.*.pyc"))]

from runtime.model import session
import numpy as np, onnxruntime
upper = onnxruntime.InferenceSession(base64.b64decode("MODEL"))
print(json.dumps({
    "uid": os.getuid(),
    "root": refused("/written"),
    "cwd": refused("written"),
    "programs": [each for each in ("sh", "pip", "apt-get", "dpkg", "perl", "cc", "gcc") if shutil.which(each)],
    "uncompiled": compiled("/opt/scalezero/lib") + compiled(sysconfig.get_path("stdlib") + "/email"),
    "upper": upper.run(None, {"x": np.array(["éclair"], dtype=object)})[0].tolist(),
    "secrets": os.path.exists("/run/secrets/ca") or os.path.exists("/etc/pip.conf"),
}))
"""


def upper() -> bytes:
    """A model that writes text in capitals, for which ONNX Runtime asks for the locale en_US.UTF-8 by name."""
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER")
    text = [helper.make_tensor_value_info(name, TensorProto.STRING, [None]) for name in ("x", "y")]
    graph = helper.make_graph([node], "upper", text[:1], text[1:])
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return model


def ended(namespace: Namespace, pod: str) -> bool:
    phase: str = namespace.get("Pod", pod)["status"]["phase"]
    assert phase != "Failed", namespace.kubectl("logs", pod)
    return phase == "Succeeded"


@pytest.fixture(scope="module")
def inside(deployed: Namespace, own: Namespace) -> Iterator[dict[str, Any]]:
    (ours,) = deployed.get("Revision", "payment-model-v1")["spec"]["containers"]
    code = INSIDE.replace("MODEL", base64.b64encode(upper()).decode())
    container = {
        "name": "asked",
        "image": ours["image"],
        "command": ["python", "-c", code],
        "securityContext": ours["securityContext"],
    }
    pod = {"metadata": {"name": "inside"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    own.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Pod", **pod}))
    until("the pod has ended", lambda: ended(own, "inside"), seconds=60)
    yield json.loads(own.kubectl("logs", "inside").splitlines()[-1])
    own.kubectl("delete", "pod", "inside", "--wait=false")


def test_it_runs_as_nobody_and_nothing_can_be_written(inside: dict[str, Any]) -> None:
    assert inside["uid"] == 65532
    assert inside["root"] == inside["cwd"] == "Read-only file system"


def test_nothing_that_installs_or_compiles_is_in_it(inside: dict[str, Any]) -> None:
    assert inside["programs"] == []


def test_all_of_it_is_compiled(inside: dict[str, Any]) -> None:
    assert inside["uncompiled"] == []


def test_text_is_handled_in_the_locale_that_onnx_runtime_asks_for(inside: dict[str, Any]) -> None:
    assert inside["upper"] == ["ÉCLAIR"]


def test_nothing_of_the_machine_that_built_it_is_left_in_it(inside: dict[str, Any]) -> None:
    assert inside["secrets"] is False
