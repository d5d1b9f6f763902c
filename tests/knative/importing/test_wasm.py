"""A Deployment of WasmEdge becomes a function with a guest; what cannot carry over is listed."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from knative.function.configuration import Flags
from knative.function.project import load
from knative.importing import Folder, Project, import_deployment
from knative.manifests import desired
from knative.resources import ForeignDeployment, parse_resources, read_resources
from knative.resources.guest import Folder as FolderOfGuest
from runtime.cli import scalezero
from runtime.declared import settings_for
from runtime.service import begin
from tests import guests
from tests.knative.importing.deployments import container, deployment, env
from tests.knative.importing.test_folder import PROJECT, of_spec
from tests.knative.manifests.admission import violations

SPEC = Path(__file__).resolve().parent.parent / "resources" / "spec"
PUBLISHED = "s3://modules/ml-inference.wasm"


def imported(foreign: ForeignDeployment, wasm: str = PUBLISHED) -> Folder:
    return import_deployment(foreign, {}, PROJECT._replace(wasm=wasm))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(scalezero, ["import", "-f", str(SPEC / "wasmedge-ml.yaml"), *map(str, arguments)])


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_the_users_deployment_becomes_a_folder_that_can_be_deployed_and_served(tmp_path: Path) -> None:
    result = run(tmp_path / "out", "--wasm", guests.write(tmp_path / "ml-inference.wasm", guests.ECHO))
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out" / "wasmedge-ml"
    assert {each.name for each in folder.iterdir()} == {"model.yaml", "func.yaml", "README.md", "main.wasm"}
    (config,) = read_resources(folder).inference_configs
    assert config.spec.guest is not None
    assert config.spec.guest.path == "s3://models/wasmedge-ml/guest/1.0.0/ml-inference.wasm"
    project = load((folder,), Flags(), environ={})
    project.require_valid()
    assert (project.options.image or "").endswith("-wasm")
    steps = desired(project.resources, project.options)
    assert [violation for step in steps for violation in violations(step.manifest)] == []
    settings = settings_for(folder, environ={"SCALEZERO_LOAD": "lazy", "SCALEZERO_CACHE_DIR": str(tmp_path / "cache")})
    assert (settings.guest_uri, settings.model_name) == (str(folder / "main.wasm"), "wasmedge-ml")
    assert begin(settings)


def test_its_resources_are_those_of_the_function(tmp_path: Path) -> None:
    function = yaml.safe_load(imported(of_spec("wasmedge-ml")).files["func.yaml"])
    assert function["deploy"]["options"]["resources"]["requests"] == {"memory": "256Mi", "cpu": "200m"}
    envs = {each["name"]: each["value"] for each in function["run"]["envs"]}
    assert envs["SCALEZERO_GUEST_URI"] == PUBLISHED
    assert "SCALEZERO_PROTOCOLS" not in envs


def test_a_published_module_is_not_copied() -> None:
    folder = imported(of_spec("wasmedge-ml"))
    assert folder.guest is None
    assert f"path: {PUBLISHED}" in folder.files["model.yaml"]
    assert "main.wasm" not in folder.files


def test_what_does_not_carry_over_is_listed() -> None:
    mounted = {"name": "v", "mountPath": "/data"}
    foreign = deployment(
        container(
            "a/ml.wasm",
            args=["x"],
            volumeMounts=[mounted],
            env=env(A="1", WASMEDGE_WASINN_PRELOAD="reader:ONNX:CPU:/m/r.onnx"),
        ),
        runtimeClassName="wasmedge",
        volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
    )
    folder = imported(foreign)
    (version,) = parse_resources(folder.files["model.yaml"], file="model.yaml").model_versions
    assert version.spec.model_name == "reader"
    text = folder.files["README.md"]
    omitted = text.partition("## Not imported")[2]
    for what in ("env A", "command and args", "runtimeClassName: wasmedge", "the volume at /data"):
        assert what in omitted
    assert omitted.count("runtimeClassName") == 1
    assert "# /m/r.onnx is the model in the old pod; write it as reader-v1.onnx." in text
    assert "WASMEDGE_WASINN_PRELOAD" not in omitted
    assert "opens a socket" in text
    assert "scalezero publish ." in text
    assert "Protocol and URLs" not in text


VOLUMES = [
    {"name": "labels", "configMap": {"name": "labels", "defaultMode": 420}},
    {"name": "keys", "secret": {"secretName": "keys"}},
    {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}},
    {"name": "some", "configMap": {"name": "labels", "items": [{"key": "a", "path": "b"}]}},
    {"name": "node", "hostPath": {"path": "/data"}},
]


def mounting(*mounts: tuple[str, str], **more: object) -> Folder:
    listed = [{"name": name, "mountPath": path, **more} for name, path in mounts]
    return imported(deployment(container("ml.wasm", volumeMounts=listed), volumes=VOLUMES))


def test_volumes_become_folders_of_the_guest_and_volumes_of_func_yaml(tmp_path: Path) -> None:
    folder = mounting(("labels", "/etc/labels/"), ("keys", "/etc/keys"), ("scratch", "/work"))
    (config,) = parse_resources(folder.files["model.yaml"], file="model.yaml").inference_configs
    assert config.spec.guest is not None
    assert config.spec.guest.folders == (
        FolderOfGuest(path="/etc/labels"),
        FolderOfGuest(path="/etc/keys"),
        FolderOfGuest(path="/work", read_only=False),
    )
    assert yaml.safe_load(folder.files["func.yaml"])["run"]["volumes"][1:] == [
        {"configMap": "labels", "path": "/etc/labels"},
        {"secret": "keys", "path": "/etc/keys"},
        {"emptyDir": {"sizeLimit": "64Mi"}, "path": "/work"},
    ]
    assert "the volume at" not in folder.files["README.md"]
    for name, text in folder.files.items():
        (tmp_path / name).write_text(text)
    project = load((tmp_path,), Flags(), environ={})
    project.require_valid()
    steps = desired(project.resources, project.options)
    assert [violation for step in steps for violation in violations(step.manifest)] == []
    assert project.options.runtime.guest_folders == config.spec.guest.settings()["guest_folders"]


def test_a_volume_without_write_access_is_a_read_only_folder() -> None:
    folder = mounting(("scratch", "/work"), readOnly=True)
    (config,) = parse_resources(folder.files["model.yaml"], file="model.yaml").inference_configs
    assert config.spec.guest is not None
    assert config.spec.guest.folders == (FolderOfGuest(path="/work"),)


@pytest.mark.parametrize(
    ("mounts", "more", "why"),
    [
        ([("node", "/data")], {}, "the volume at /data: only a ConfigMap, a Secret and an emptyDir carry over"),
        ([("none", "/data")], {}, "the volume at /data: only a ConfigMap"),
        ([("some", "/data")], {}, "the volume at /data: func.yaml has no field for its items"),
        ([("labels", "/data/a")], {"subPath": "a"}, "the volume at /data/a: func.yaml mounts whole volumes only"),
        ([("labels", "/tmp")], {}, "the volume at /tmp: a guest cannot have a folder there"),  # noqa: S108 - of a pod
        ([("labels", "/var/run/secrets/a")], {}, "the volume at /var/run/secrets/a: a guest cannot have a folder"),
        ([("labels", "/a"), ("keys", "/a")], {}, "the volume at /a: a guest cannot have a folder there, or has one"),
    ],
)
def test_a_volume_that_does_not_carry_over_is_listed(
    mounts: list[tuple[str, str]], more: dict[str, str], why: str
) -> None:
    folder = mounting(*mounts, **more)
    assert why in folder.files["README.md"].partition("## Not imported")[2]
    assert len(yaml.safe_load(folder.files["func.yaml"])["run"]["volumes"]) == len(mounts)


def test_a_runtime_class_of_webassembly_is_enough() -> None:
    folder = imported(deployment(container("registry.example/ml:1"), runtimeClassName="wasmtime-wasm"), "guest.wasm")
    assert folder.guest == "guest.wasm"
    assert "path: s3://models/old/guest/1.0.0/main.wasm" in folder.files["model.yaml"]


def test_an_image_that_is_a_module_is_enough() -> None:
    text = imported(deployment(container("ml.wasm"))).files["README.md"]
    assert "runtimeClassName" not in text


def test_the_folder_of_a_file_is_that_of_the_registry() -> None:
    project = Project("image:1", "s3://bucket/ml/", "2026-11-23T00:00:00Z", "a.wasm")
    text = import_deployment(of_spec("wasmedge-ml"), {}, project).files["model.yaml"]
    assert "path: s3://bucket/ml/wasmedge-ml/guest/1.0.0/ml-inference.wasm" in text


@pytest.mark.parametrize(
    ("wasm", "message"),
    [
        ("none.wasm", "--wasm='none.wasm': expected a file that can be read (No such file or directory)"),
        ("s3://b", "--wasm='s3://b': expected a file, or s3://bucket/key"),
        ("https://example.com/a.wasm", "--wasm='https://example.com/a.wasm': expected a file, or s3://bucket/key"),
    ],
)
def test_another_place_is_refused(tmp_path: Path, wasm: str, message: str) -> None:
    assert message in refused(run(tmp_path / "out", "--wasm", wasm))
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_module_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "a.wat"
    text.write_text("(module)")
    assert "a WebAssembly binary; this file starts with b'(mod'" in refused(run(tmp_path / "out", "--wasm", text))


def test_an_existing_guest_is_not_overwritten(tmp_path: Path) -> None:
    file = guests.write(tmp_path / "a.wasm", guests.ECHO)
    (tmp_path / "wasmedge-ml").mkdir()
    (tmp_path / "wasmedge-ml" / "main.wasm").write_bytes(b"mine")
    assert "wasmedge-ml/main.wasm, which exists already" in refused(run(tmp_path, "--wasm", file))
    assert (tmp_path / "wasmedge-ml" / "main.wasm").read_bytes() == b"mine"
