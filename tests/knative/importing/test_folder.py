"""The folder of an imported Deployment can be deployed with the same names, and its README.md lists omissions."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.function.configuration import Flags
from knative.function.configuration import deployment_options as options_of
from knative.importing import Folder, Project, import_deployment
from knative.manifests import desired
from knative.resources import ForeignDeployment, parse_resources
from knative.resources.errors import FieldFault
from knative.resources.func_yaml import parse_function
from tests.knative.importing.deployments import container, deployment, env
from tests.knative.manifests.admission import violations

SPEC = Path(__file__).resolve().parent.parent / "resources" / "spec"
PROJECT = Project(image="dev.local/scalezero:0.1.0", registry="s3://models", created="2026-11-23T00:00:00Z")
TWO = "config { name: 'a' base_path: '/a' } config { name: 'b' base_path: '/b' }"


def of_spec(name: str) -> ForeignDeployment:
    (read,) = parse_resources((SPEC / f"{name}.yaml").read_text("utf-8"), file=name).deployments
    return read


def import_folder(foreign: ForeignDeployment, files: dict[str, str] | None = None) -> Folder:
    return import_deployment(foreign, files or {}, PROJECT)


def manifests(folder: Folder) -> list[dict[str, Any]]:
    """Return the manifests that a deploy of the folder applies."""
    options = options_of(parse_function(folder.files["func.yaml"], file="func.yaml"), environ={}, flags=Flags())
    steps = desired(parse_resources(folder.files["model.yaml"], file="model.yaml"), options)
    assert [violation for step in steps for violation in violations(step.manifest)] == []
    return [step.manifest for step in steps]


def variables(service: dict[str, Any]) -> dict[str, Any]:
    (found,) = service["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in found["env"]}


def names(folder: Folder) -> list[tuple[str, str]]:
    return [(each["kind"], each["metadata"]["name"]) for each in manifests(folder) if each["kind"] != "ServiceAccount"]


def test_the_users_tensorflow_serving_keeps_its_names_and_its_environment() -> None:
    folder = import_folder(of_spec("tensorflow-serving"))
    assert folder.name == "tensorflow-serving"
    assert names(folder) == [("Service", "payment-model"), ("Route", "tensorflow-serving")]
    _, service, route = manifests(folder)
    assert route["spec"]["traffic"] == [{"revisionName": "payment-model-v1", "percent": 100}]
    assert variables(service).items() >= {"MODEL_NAME": "payment-model", "MODEL_BASE_PATH": "/models"}.items()
    assert variables(service)["SCALEZERO_MODEL_URI"] == "s3://models/payment-model-v1.onnx"


def test_the_users_torchserve_keeps_its_name_and_its_environment() -> None:
    """It names no model, so the model and its Service have the name of the Deployment."""
    folder = import_folder(of_spec("pytorch-serve"))
    assert names(folder) == [("Service", "pytorch-serve")]
    assert variables(manifests(folder)[1]).items() >= {"MODEL_STORE": "/models"}.items()
    assert "import assumes one model, pytorch-serve" in folder.files["README.md"]


@pytest.mark.parametrize(("replicas", "most"), [(3, 10), (25, 25)])
def test_the_scale_is_from_zero_to_at_least_the_replicas(replicas: int, most: int) -> None:
    document = deployment(container()).as_manifest()
    document["spec"]["replicas"] = replicas
    (foreign,) = parse_resources(yaml.safe_dump(document), file="d").deployments
    annotations = manifests(import_folder(foreign))[1]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/min-scale"] == "0"
    assert annotations["autoscaling.knative.dev/max-scale"] == str(most)


@pytest.mark.parametrize("foreign", [of_spec("tensorflow-serving"), of_spec("pytorch-serve")])
def test_the_settings_of_both_files_agree(foreign: ForeignDeployment) -> None:
    folder = import_folder(foreign)
    rendered = variables(manifests(folder)[1])
    function = parse_function(folder.files["func.yaml"], file="func.yaml").function
    declared = {each.name: each.value for each in function.run.envs if (each.name or "").startswith("SCALEZERO_")}
    assert declared == {name: rendered[str(name)] for name in declared}
    annotations = manifests(folder)[1]["spec"]["template"]["metadata"]["annotations"]
    assert str(int(function.deploy.options.scale.target or 0)) == annotations["autoscaling.knative.dev/target"]


@pytest.mark.parametrize("wait", ["0", "99999999999999"])
def test_unlimited_durations_become_the_maximum(wait: str) -> None:
    files = {"b": f"batch_timeout_micros {{ value: {wait} }}"}
    args = ["--batching_parameters_file=/b", "--rest_api_timeout_in_ms=99999999999"]
    (config,) = parse_resources(
        import_folder(deployment(container(args=args)), files).files["model.yaml"], file="model.yaml"
    ).inference_configs
    assert config.spec.max_wait_seconds < config.spec.timeout_seconds == 24 * 3600


def test_batching_and_the_timeout_are_converted() -> None:
    files = {"b": "max_batch_size { value: 64 } batch_timeout_micros { value: 1500 }"}
    args = ["--batching_parameters_file=/b", "--rest_api_timeout_in_ms=2500"]
    service = manifests(import_folder(deployment(container(args=args)), files))[1]
    assert [variables(service)[f"SCALEZERO_{each}"] for each in ("BATCH_SIZE", "MAX_WAIT_TIME", "TIMEOUT")] == [
        "64",
        "1500us",
        "2500ms",
    ]


def test_the_timeout_is_longer_than_the_wait_for_a_batch() -> None:
    files = {"b": "batch_timeout_micros { value: 40000000 }"}
    service = manifests(import_folder(deployment(container(args=["--batching_parameters_file=b"])), files))[1]
    assert [variables(service)[f"SCALEZERO_{each}"] for each in ("MAX_WAIT_TIME", "TIMEOUT")] == ["40s", "400s"]


def test_several_models_have_a_service_each_and_the_old_name_is_not_used() -> None:
    folder = import_folder(deployment(container(args=["--model_config_file=/c"])), {"c": TWO})
    assert names(folder) == [("Service", "a"), ("Service", "b")]
    assert "The name old is no longer used" in folder.files["README.md"]


def test_a_name_that_knative_does_not_allow_is_reported() -> None:
    folder = import_folder(deployment(container(), name="old.serving"))
    assert names(folder) == [("Service", "model")]
    assert "Knative does not allow the name old.serving" in folder.files["README.md"]
    assert "Kubernetes Service" not in folder.files["README.md"]


def test_account_namespace_and_secret_are_kept() -> None:
    keys = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "minio", "key": name}}}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    ]
    document = deployment(container(env=keys), serviceAccountName="reader").as_manifest()
    document["metadata"]["namespace"] = "models"
    (foreign,) = parse_resources(yaml.safe_dump(document), file="d").deployments
    folder = import_folder(foreign)
    (service, _) = manifests(folder)
    assert service["metadata"]["namespace"] == "models"
    assert service["spec"]["template"]["spec"]["serviceAccountName"] == "reader"
    assert variables(service)["AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "minio"
    assert "kubectl create secret" not in folder.files["README.md"]


def test_omitted_fields_are_reported() -> None:
    serving = container(
        livenessProbe={"tcpSocket": {"port": 8500}}, volumeMounts=[{"name": "m", "mountPath": "/models"}]
    )
    document = deployment(serving, {"name": "side", "image": "b"}, nodeSelector={"a": "b"}).as_manifest()
    document["spec"]["strategy"] = {"type": "Recreate"}
    (foreign,) = parse_resources(yaml.safe_dump(document), file="d").deployments
    page = import_folder(foreign).files["README.md"]
    omitted = [line.partition(":")[0] for line in page.partition("## Not imported\n\n")[2].splitlines()]
    assert omitted == [
        "- the container's livenessProbe",
        "- the container's volumeMounts",
        "- the pod's nodeSelector",
        "- container side",
        "- the strategy",
    ]


def test_the_readme_lists_the_next_steps_and_the_urls() -> None:
    page = import_folder(deployment(container(env=env(MODEL_NAME="half_two")))).files["README.md"]
    assert "The model half_two has the new name half-two." in page
    assert "--saved-model /models/half_two/VERSION --output half-two-v1.onnx" in page
    assert "scalezero publish half-two-v1.onnx s3://models/half-two-v1.onnx" in page
    assert "| `POST :8501/v1/models/half_two:predict` | POST /v1/models/half-two:predict |" in page
    assert "Paths and messages use the name half-two instead of half_two." in page
    assert "The function has one port instead of :8501, :8500." in page
    assert "The Deployment had `replicas: 3`." in page
    assert "Not imported" not in page


@pytest.mark.parametrize("model", ["old", "other"])
def test_a_kubernetes_service_with_a_name_that_knative_needs_is_reported(model: str) -> None:
    page = import_folder(deployment(container(env=env(MODEL_NAME=model)))).files["README.md"]
    assert "Knative creates a Kubernetes Service with the name old." in page


def test_several_models_have_a_url_each() -> None:
    page = import_folder(deployment(container(args=["--model_config_file=/c"])), {"c": TWO}).files["README.md"]
    assert "Each model has its own URL." in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize(
    ("image", "protocol", "version", "example"),
    [
        ("tensorflow/serving", "tensorflow_serving", "1", "URL/v1/models/model:predict -H"),
        ("pytorch/torchserve", "torchserve", "1.0", "URL/predictions/old -H"),
    ],
)
def test_the_function_answers_the_server_s_own_protocol(image: str, protocol: str, version: str, example: str) -> None:
    folder = import_folder(deployment(container(image)))
    service = manifests(folder)[1]
    assert variables(service)["SCALEZERO_PROTOCOLS"] == protocol
    assert variables(service)["SCALEZERO_MODEL_VERSION"] == version
    assert example in folder.files["README.md"]


@pytest.mark.parametrize(
    "image",
    [
        "tensorflow/serving",
        "docker.io/tensorflow/serving:2.14-gpu",
        "registry.example:5000/mirror/tensorflow/serving@sha256:" + 64 * "a",
        "bitnami/tensorflow-serving:2",
        "pytorch/torchserve:latest-cpu",
        "pytorch/torchserve-nightly",
    ],
)
def test_an_image_is_recognized_by_its_name(image: str) -> None:
    assert import_folder(deployment(container(image))).files


@pytest.mark.parametrize("program", ["tensorflow_model_server", "/usr/bin/torchserve --start"])
def test_a_custom_image_is_recognized_by_its_command(program: str) -> None:
    side = container("nginx") | {"name": "proxy"}
    serving = container("registry.example/ours:1", command=["sh", "-c", f"exec {program}"])
    assert import_folder(deployment(side, serving)).files


def test_another_image_is_refused() -> None:
    with pytest.raises(FieldFault) as caught:
        import_folder(deployment(container("nginx:tensorflow")))
    assert caught.value.field == ("spec", "template", "spec", "containers", 0, "image")
    assert "WASI-NN" not in caught.value.allowed


def test_a_webassembly_module_needs_a_place_to_take_it_from() -> None:
    with pytest.raises(FieldFault) as caught:
        import_folder(of_spec("wasmedge-ml"))
    assert caught.value.value == '"ml-inference.wasm"'
    assert caught.value.allowed.endswith("which this name is not: --wasm FILE or --wasm s3://bucket/key")


def test_a_negative_wait_becomes_zero() -> None:
    """TorchServe's JSON may contain any number."""
    files = {"c": 'load_models=m.mar\nmodels={"m": {"1.0": {"maxBatchDelay": -5}}}'}
    foreign = deployment(container("pytorch/torchserve", args=["torchserve", "--ts-config=/c"]))
    (config,) = parse_resources(import_folder(foreign, files).files["model.yaml"], file="model.yaml").inference_configs
    assert config.spec.max_wait_time == "0s"
