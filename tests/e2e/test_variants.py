"""Tests of a function with a measured int8 variant and a companion: what is pinned, served, shown and protected."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_digits

from knative.manifests.variants import pinned_of
from runtime.variants.pinned import PinnedModel
from tests import ROOT
from tests.e2e.functions import function_yaml
from tests.e2e.load import ANSWER_TIMEOUT
from tests.e2e.namespace import Namespace
from tests.e2e.wide_digits.train import HELD_OUT
from tests.knative.documents import version

SOURCES = Path(__file__).with_name("wide_digits")
ENVS = """\
run:
  envs:
    - {name: FUNCTION_SOURCE, value: functions/digits/main.py}
    - {name: FUNCTION_TARGET, value: handle}
"""
MAX_LOSS = 0.02  # of the accuracy, as in the ModelOptimization


class Deployed(NamedTuple):
    """The deployed function."""

    folder: Path
    registry: str
    url: str
    output: str  # of the deploy

    def uri(self, name: str) -> str:
        """Return the URI of the artifact of a model."""
        return f"{self.registry}/{name}-v1.onnx"


@pytest.fixture(scope="module")
def function(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """The function digits of the image, with wide layers instead of its own model, and the companion doubled."""
    folder, registry = tmp_path_factory.mktemp("digits") / "digits", f"s3://models/{own.name}"
    shutil.copytree(ROOT / "functions" / "digits", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(SOURCES / "train.py", folder)
    write_models(folder, registry)
    write_function(folder)
    output = own.scalezero("deploy", folder)
    return Deployed(folder, registry, own.url("digits"), output)


def write_function(folder: Path, more: str = "") -> None:
    """Write the func.yaml, with `more` variables."""
    (folder / "func.yaml").write_text(function_yaml("digits").replace("run:\n  envs:\n", ENVS + more))


def write_models(folder: Path, registry: str, *more: str) -> None:
    """Write the model.yaml, with `more` resources."""
    text = (SOURCES / "model.yaml").read_text().replace("REGISTRY", registry)
    (folder / "model.yaml").write_text("".join([text, *more]))


@pytest.fixture(scope="module")
def manifest(own: Namespace, function: Deployed) -> dict[str, Any]:
    """The manifest of digits in the registry."""
    shown: dict[str, Any] = json.loads(own.local("models", "show", function.uri("digits"), "-o", "json"))
    return shown


@pytest.fixture(scope="module")
def pinned(own: Namespace, function: Deployed) -> PinnedModel:
    """What the revision pins."""
    found = pinned_of(own.get("Revision", "digits-v1"))
    assert found is not None
    return found


def described(function: Deployed, model: str) -> dict[str, Any]:
    """Return what the pod says about a model."""
    answer: dict[str, Any] = httpx.get(f"{function.url}/api/v1/models/{model}", timeout=ANSWER_TIMEOUT).json()
    return answer


def predict(function: Deployed, model: str, rows: np.ndarray) -> Any:  # noqa: ANN401 - any JSON value
    body = {"inputs": rows.tolist()}
    answer = httpx.post(f"{function.url}/api/v1/models/{model}/predict", json=body, timeout=ANSWER_TIMEOUT)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()["outputs"]


def test_deploy_makes_variants_and_prints_why_one_is_served(function: Deployed, manifest: dict[str, Any]) -> None:
    """Its layers are so wide that an int8 variant is faster on any CPU."""
    assessment = manifest["assessment"]
    assert assessment["chosen"].startswith("int8"), assessment
    expected = f"digits 1.0.0: {assessment['chosen']} is served on {assessment['cpuClass']}: {assessment['reason']}"
    assert f"{expected} (Optimized=True, Int8Chosen)" in function.output.splitlines()


def test_the_revision_pins_each_usable_variant_by_its_digest(pinned: PinnedModel, manifest: dict[str, Any]) -> None:
    published = {each["name"]: (each["uri"], each["sha256"]) for each in manifest["variants"]}
    assert {each.name: (each.uri, each.sha256) for each in pinned.variants} == published
    ranking = pinned.classes[manifest["assessment"]["cpuClass"]].ranking
    assert (ranking[0], ranking[-1]) == (manifest["assessment"]["chosen"], "original")


def test_the_pod_serves_the_first_pinned_variant_and_says_so_in_all_places(
    own: Namespace, function: Deployed, manifest: dict[str, Any]
) -> None:
    chosen, cpu_class = manifest["assessment"]["chosen"], manifest["assessment"]["cpuClass"]
    serving = described(function, "digits")["serving"]
    assert (serving["variant"], serving["cpu_class"], "not_served" in serving) == (chosen, cpu_class, False)
    parameters = httpx.get(f"{function.url}/v2/models/digits", timeout=ANSWER_TIMEOUT).json()["parameters"]
    assert parameters["variant"] == chosen
    lines = httpx.get(f"{function.url}/metrics", timeout=ANSWER_TIMEOUT).text.splitlines()
    (info,) = (each for each in lines if each.startswith("scalezero_model_info{") and 'model="digits"' in each)
    assert f'variant="{chosen}"' in info
    assert 'instead_of=""' in info
    (status,) = json.loads(own.scalezero("status", "digits", "-o", "json"))
    (revision,) = status["revisions"]
    assert {each["variant"] for each in revision["serving"].values()} == {chosen}


def test_its_answers_are_as_accurate_as_those_of_the_original(
    own: Namespace, function: Deployed, tmp_path: Path
) -> None:
    key = function.uri("digits").removeprefix("s3://models/")
    original = tmp_path / "original.onnx"
    original.write_bytes(own.s3.client().get_object(Bucket="models", Key=key)["Body"].read())
    pixels, digits = load_digits(return_X_y=True)
    rows, expected = pixels[:HELD_OUT].astype(np.float32), digits[:HELD_OUT]
    (labels,) = onnxruntime.InferenceSession(original).run(["label"], {"pixels": rows})
    served = np.array(predict(function, "digits", rows)["label"])
    assert np.mean(served == expected) >= np.mean(labels == expected) - MAX_LOSS
    image = rows[0].reshape(8, 8).tolist()
    answer = httpx.post(function.url, json={"image": image}, timeout=ANSWER_TIMEOUT).json()
    assert answer["digit"] == labels[0]


def test_the_companion_answers_beside_the_main_model_and_status_names_it(own: Namespace, function: Deployed) -> None:
    assert predict(function, "doubled", np.array([[1.0, 2.5]])) == [[2.0, 5.0]]
    (status,) = json.loads(own.scalezero("status", "-o", "json"))
    (revision,) = status["revisions"]
    assert (status["name"], revision["companions"]) == ("digits", {"doubled": "1.0.0"})
    assert "digits-v1: serves also doubled 1.0.0" in own.scalezero("status", "digits")


def test_after_the_deploy_there_is_nothing_to_do(own: Namespace, function: Deployed) -> None:
    assert own.scalezero("plan", "-f", function.folder).splitlines()[-1] == "nothing to do"


@pytest.mark.parametrize("name", ["digits", "doubled"])
def test_a_model_that_the_revision_uses_is_not_deleted(own: Namespace, function: Deployed, name: str) -> None:
    uri = function.uri(name)
    output = own.scalezero("models", "delete", uri, code=2)
    assert f"{uri}: revision/digits-v1 in namespace {own.name} still use it" in output
    own.local("models", "verify", uri)


def test_a_pod_without_the_provider_serves_the_next_variant_and_says_why(own: Namespace, function: Deployed) -> None:
    """The image has no OpenVINO, so the revision asks for a variant that its pods cannot open."""
    second = version("digits-v2", "digits", number="2.0.0", path=function.uri("digits"))
    write_models(function.folder, function.registry, second)
    write_function(function.folder, "    - {name: SCALEZERO_VARIANT, value: openvino}\n")
    own.scalezero("apply", "-f", function.folder)
    url = own.url("digits", "v2")
    serving = httpx.get(f"{url}/api/v1/models/digits", timeout=ANSWER_TIMEOUT).json()["serving"]
    assert serving["variant"] != "openvino"
    assert "not installed" in serving["not_served"]["openvino"]
    lines = httpx.get(f"{url}/metrics", timeout=ANSWER_TIMEOUT).text.splitlines()
    (info,) = (each for each in lines if each.startswith("scalezero_model_info{") and 'model="digits"' in each)
    assert 'instead_of="openvino"' in info
    assert "openvino is not served: " in own.scalezero("status", "digits")
    log = own.scalezero("logs", "digits", "--revision", "v2").splitlines()
    said = [each for each in log if '"message":"variant not served; the next one is tried"' in each]
    assert all(any(f'"uri":"{function.uri(name)}"' in each for each in said) for name in ("digits", "doubled"))


def test_a_revision_is_not_ready_without_its_companion_and_gets_no_traffic(own: Namespace, function: Deployed) -> None:
    """Its own model, which is that of v1, could be served."""
    missing = f"{function.registry}/missing.onnx"
    more = [
        version("digits-v2", "digits", number="2.0.0", path=function.uri("digits")),
        version("digits-v3", "digits", number="3.0.0", path=function.uri("digits")),
        version("doubled-v2", "doubled", number="2.0.0", path=missing),
    ]
    write_models(function.folder, function.registry, *more)
    try:
        output = own.scalezero("apply", "-f", function.folder, code=1)
        assert "scalezero: revision digits-v3 failed: " in output
        assert f"{function.registry}/missing.onnx: there is no such object" in output
    finally:
        write_models(function.folder, function.registry)
    assert predict(function, "doubled", np.array([[1.0, 2.5]])) == [[2.0, 5.0]]
    traffic = own.get("Service", "digits")["status"]["traffic"]
    assert {each["revisionName"]: each["percent"] for each in traffic if each.get("percent")} == {"digits-v1": 100}
