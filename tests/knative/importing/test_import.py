"""`scalezero import` writes all folders, or nothing."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from knative.resources import read_resources
from runtime.cli import scalezero

SPEC = Path(__file__).resolve().parent.parent / "resources" / "spec"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(scalezero, ["import", *map(str, arguments)])


def test_each_deployment_becomes_a_folder(tmp_path: Path) -> None:
    files = [SPEC / "tensorflow-serving.yaml", SPEC / "pytorch-serve.yaml"]
    result = run("-f", files[0], "-f", files[1], tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert {str(each.relative_to(tmp_path / "out")) for each in tmp_path.rglob("*.*")} == {
        f"{name}/{file}"
        for name in ("tensorflow-serving", "pytorch-serve")
        for file in ("model.yaml", "func.yaml", "README.md")
    }
    assert read_resources(tmp_path / "out" / "tensorflow-serving").models == ("payment-model",)


def test_image_and_registry_can_be_set(tmp_path: Path) -> None:
    run("-f", SPEC / "pytorch-serve.yaml", tmp_path, "--image", "a/b:1", "--registry", "s3://bucket/ml/")
    folder = tmp_path / "pytorch-serve"
    assert yaml.safe_load((folder / "func.yaml").read_text())["image"] == "a/b:1"
    assert read_resources(folder).model_versions[0].spec.storage.path == "s3://bucket/ml/pytorch-serve-v1.onnx"


def test_config_maps_of_the_file_are_read_and_other_kinds_are_skipped(tmp_path: Path) -> None:
    document = yaml.safe_load((SPEC / "tensorflow-serving.yaml").read_text())
    document["spec"]["template"]["spec"]["containers"][0]["args"] = ["--batching_parameters_file=/etc/b.txt"]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b.txt": "max_batch_size { value: 7 }"}}
    (tmp_path / "in.yaml").write_text(yaml.safe_dump_all([service, document, config, {"kind": "ConfigMap"}, ["text"]]))
    assert run("-f", tmp_path / "in.yaml", tmp_path).exit_code == 0
    assert read_resources(tmp_path / "tensorflow-serving").inference_configs[0].spec.batch_size == 7


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    """Neither of two folders is written if the second one exists."""
    (tmp_path / "pytorch-serve").mkdir()
    (tmp_path / "pytorch-serve" / "func.yaml").write_text("mine")
    line = refused(run("-f", SPEC / "tensorflow-serving.yaml", "-f", SPEC / "pytorch-serve.yaml", tmp_path))
    assert "pytorch-serve/func.yaml, which exists already" in line
    assert [each.name for each in tmp_path.rglob("*.*")] == ["func.yaml"]


def test_two_deployments_with_the_same_name_are_refused(tmp_path: Path) -> None:
    document = yaml.safe_load((SPEC / "pytorch-serve.yaml").read_text())
    (tmp_path / "in.yaml").write_text(yaml.safe_dump_all([document, document]))
    line = refused(run("-f", tmp_path / "in.yaml", tmp_path / "out"))
    assert "Deployments with different names; 2 have the name pytorch-serve" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("wasmedge-ml.yaml", 'wasmedge-ml.yaml:11: spec.template.spec.containers[0].image: got "ml-inference.wasm"'),
        ("payment-model-v1.yaml", "payment-model-v1.yaml: document: got no Deployment; expected at least one"),
    ],
)
def test_the_error_for_an_unsupported_manifest_is_one_line(tmp_path: Path, file: str, message: str) -> None:
    assert message in refused(run("-f", SPEC / file, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("registry", ["/models", "s3://", "s3://b", "s3://a b/c"])
def test_a_registry_is_an_s3_address(tmp_path: Path, registry: str) -> None:
    assert "--registry" in refused(run("-f", SPEC / "pytorch-serve.yaml", tmp_path, "--registry", registry))
