"""Tests of functions that are WebAssembly guests: the example, and an imported Deployment of WasmEdge."""

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml

from functions.digits.train import VERSION, split, train
from knative.manifests.names import CONTAINER
from knative.objects import REVISION_LABEL
from tests import ROOT
from tests.documents import blocks
from tests.e2e.functions import reduce_requests
from tests.e2e.namespace import Namespace, wait_until
from tests.e2e.test_serving import TO_ZERO
from tests.knative import documents
from tests.runtime.wasi_nn.building import SOURCES, c_guest, scripted_guest
from tests.waiting import DEADLINE

EXAMPLE = ROOT / "functions" / "wasm_digits"
WASMEDGE = ROOT / "tests" / "knative" / "resources" / "spec" / "wasmedge-ml.yaml"
V1, V2 = "wasm-digits-v1", "wasm-digits-v2"
PAGE = ROOT / "docs" / "wasm.md"
ROWS = split()[1].pixels[:3]


@pytest.fixture(scope="module")
def example(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployed folder."""
    folder = tmp_path_factory.mktemp("example") / "wasm_digits"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "main.wasm"))
    shutil.copy(scripted_guest(EXAMPLE), folder / "main.wasm")
    model = folder / "model.yaml"
    model.write_text(model.read_text().replace("s3://models/", f"s3://models/{own.name}/"))
    reduce_requests(folder / "func.yaml")
    own.scalezero("deploy", folder)
    return folder


def ask(url: str) -> httpx.Response:
    """Send the rows to the guest."""
    answer = httpx.post(url, json=ROWS.tolist(), timeout=120)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer


def check_outputs(url: str, model: str) -> None:
    """Check that the guest answers with the outputs of the predict API of the same revision, bit for bit."""
    answer = httpx.post(f"{url}/api/v1/models/{model}/predict", json={"inputs": ROWS.tolist()}, timeout=120)
    expected, got = answer.json()["outputs"], ask(url).json()
    assert got["digits"] == expected["label"]
    probabilities, of_model = (np.array(each["probabilities"], np.float32) for each in (got, expected))
    np.testing.assert_array_equal(probabilities, of_model)


def test_the_example_answers_from_zero_with_compiled_code_that_its_revision_pins(own: Namespace, example: Path) -> None:
    assert (example / "main.wasm").is_file()
    wait_until("there are no pods", lambda: own.is_at_zero(V1), seconds=TO_ZERO)
    url = own.url("wasm-digits")
    assert len(ask(url).json()["digits"]) == len(ROWS)
    check_outputs(url, "wasm-digits")
    variables = own.get("Revision", V1)["spec"]["containers"][0]["env"]
    pinned = {each["name"] for each in variables} & {"SCALEZERO_GUEST_SHA256", "SCALEZERO_GUEST_CODE"}
    assert len(pinned) == 2
    log = own.kubectl("logs", "-l", f"{REVISION_LABEL}={V1}", "-c", CONTAINER, "--tail=-1")
    assert '"message":"model ready"' in log
    assert "it is compiled" not in log


def test_a_split_sends_requests_to_both_versions(own: Namespace, example: Path, tmp_path: Path) -> None:
    uri = f"s3://models/{own.name}/wasm-digits-v2.onnx"
    own.local("publish", train(VERSION, tmp_path).path, uri)
    model = example / "model.yaml"
    second = documents.version(V2, "wasm-digits", path=uri, number="2.0.0")
    model.write_text(f"{model.read_text()}{second}{documents.split('wasm-digits-ab', V1, V2)}")
    own.scalezero("deploy", example)
    url = own.get("Route", "wasm-digits-ab")["status"]["url"]
    answers = [ask(url) for _ in range(40)]
    assert {each.headers["x-revision"] for each in answers} == {V1, V2}
    assert len({each.text for each in answers}) == 1


def test_an_imported_deployment_of_wasmedge_answers_with_its_guest(own: Namespace, tmp_path: Path) -> None:
    guest = c_guest(EXAMPLE / "main.c", '-DMODEL="wasmedge-ml"')
    registry = f"s3://models/{own.name}"
    own.local("import", "-f", WASMEDGE, tmp_path, "--registry", registry, "--wasm", guest)
    folder = tmp_path / "wasmedge-ml"
    shutil.copy(EXAMPLE / "train.py", folder)
    own.scalezero("deploy", folder)
    check_outputs(own.url("wasmedge-ml"), "wasmedge-ml")


FOLDERS = """
    folders:
      - {path: /etc/labels, guestPath: /labels}
      - {path: /data, readOnly: false}
"""
VOLUMES = """
  volumes:
    - {configMap: labels, path: /etc/labels}
    - {emptyDir: {sizeLimit: 1Mi}, path: /data}
deploy:
"""


def write_files_function(folder: Path, registry: str) -> None:
    """Write the function `wasm-files`, whose guest does the operation of its query on a file, and answers its errno."""
    shutil.copy(EXAMPLE / "train.py", folder)
    shutil.copy(c_guest(SOURCES / "c" / "files.c"), folder / "main.wasm")
    model = (EXAMPLE / "model.yaml").read_text().replace("wasm-digits", "wasm-files")
    (folder / "model.yaml").write_text(model.replace("s3://models/", registry).rstrip() + FOLDERS)
    function = (EXAMPLE / "func.yaml").read_text().replace("wasm-digits", "wasm-files")
    (folder / "func.yaml").write_text(function.replace("\ndeploy:\n", VOLUMES))


def test_a_guest_reads_and_writes_the_folders_that_its_resources_declare(own: Namespace, tmp_path: Path) -> None:
    write_files_function(tmp_path, f"s3://models/{own.name}/")
    reduce_requests(tmp_path / "func.yaml")
    own.kubectl("create", "configmap", "labels", "--from-literal=animals=cat,dog")
    own.scalezero("deploy", tmp_path)
    url = own.url("wasm-files")

    def operate(operation: str) -> str:
        return httpx.get(f"{url}/?{operation}", timeout=120).text

    assert operate("read&/labels/animals") == "0 cat,dog"
    assert operate("overwrite&/labels/animals") == "63 "  # not permitted
    assert operate("create&/data/file") == "0 "
    assert operate("read&/data/file") == "0 changed"
    assert operate("read&/etc/labels/animals") == "76 "  # not in a folder of the guest
    assert operate("read&/data/../etc/passwd") == "63 "


def test_the_documented_job_adds_the_code_of_its_node_to_a_published_guest(own: Namespace, tmp_path: Path) -> None:
    registry = f"s3://models/{own.name}-job/"
    write_files_function(tmp_path, registry)
    own.local("publish", tmp_path)
    guest = f"{registry}wasm-files/guest/1.0.0/main.wasm"
    (code,) = codes(own, guest)
    own.local("models", "delete", code, "--yes")
    assert codes(own, guest) == []
    job = next(each for each in map(yaml.safe_load, blocks(PAGE, "yaml")) if each.get("kind") == "Job")
    job["metadata"] = {"name": "compile-guest"}
    pod = job["spec"]["template"]["spec"]
    del pod["nodeSelector"]
    container = pod["containers"][0]
    container["image"] = own.get("Revision", "wasm-files-v1")["spec"]["containers"][0]["image"]
    container["command"][-1] = guest
    own.kubectl("apply", "-f", "-", given=json.dumps(job))
    own.kubectl("wait", "--for=condition=Complete", "job/compile-guest", f"--timeout={DEADLINE}s")
    assert codes(own, guest) == [code]


def codes(own: Namespace, guest: str) -> list[str]:
    """Return the URIs of the compiled codes of a published guest."""
    return [each["uri"] for each in json.loads(own.local("models", "show", guest, "-o", "json"))["codes"]]


def test_delete_removes_the_function(own: Namespace, example: Path) -> None:
    assert example.is_dir()
    own.scalezero("delete", "wasm-digits")
    assert own.cluster.list("Revision", labels={"serving.knative.dev/service": "wasm-digits"}) == []
