"""Tests of the image in a pod, with the settings of its revision and another command."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from onnx import TensorProto, helper

from tests.e2e.namespace import Namespace, wait_until

# Prints its results as one line of JSON, because the image has no shell.
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
    """Return a model that converts text to upper case, for which ONNX Runtime needs the locale en_US.UTF-8."""
    node = helper.make_node("StringNormalizer", ["x"], ["y"], case_change_action="UPPER")
    text = [helper.make_tensor_value_info(name, TensorProto.STRING, [None]) for name in ("x", "y")]
    graph = helper.make_graph([node], "upper", text[:1], text[1:])
    model: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return model


def has_succeeded(namespace: Namespace, pod: str) -> bool:
    phase: str = namespace.get("Pod", pod)["status"]["phase"]
    assert phase != "Failed", namespace.kubectl("logs", pod)
    return phase == "Succeeded"


@pytest.fixture(scope="module")
def inside(deployed: Namespace, own: Namespace) -> Iterator[dict[str, Any]]:
    (ours,) = deployed.get("Revision", "payment-model-v1")["spec"]["containers"]
    code = INSIDE.replace("MODEL", base64.b64encode(upper()).decode())
    container = {
        "name": "inspected",
        "image": ours["image"],
        "command": ["python", "-c", code],
        "securityContext": ours["securityContext"],
    }
    pod = {"metadata": {"name": "inside"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    own.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Pod", **pod}))
    wait_until("the pod has ended", lambda: has_succeeded(own, "inside"), seconds=120)
    yield json.loads(own.kubectl("logs", "inside").splitlines()[-1])
    own.kubectl("delete", "pod", "inside", "--wait=false")


def test_it_does_not_run_as_root_and_its_files_are_read_only(inside: dict[str, Any]) -> None:
    assert inside["uid"] == 65532
    assert inside["root"] == inside["cwd"] == "Read-only file system"


def test_it_has_no_shell_no_package_manager_and_no_compiler(inside: dict[str, Any]) -> None:
    assert inside["programs"] == []


def test_all_its_modules_are_compiled(inside: dict[str, Any]) -> None:
    assert inside["uncompiled"] == []


def test_it_has_the_locale_of_onnx_runtime(inside: dict[str, Any]) -> None:
    assert inside["upper"] == ["ÉCLAIR"]


def test_it_does_not_contain_the_secrets_of_its_build(inside: dict[str, Any]) -> None:
    assert inside["secrets"] is False
