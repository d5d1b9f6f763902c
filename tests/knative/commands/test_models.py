"""`scalezero models` on a real S3 and an API server of the test."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from knative.manifests.names import CONTAINER
from runtime.cli import scalezero
from runtime.configuration.companions import Companion, render_companions
from runtime.registry import Publication, entries, publish, publish_model, read_manifest
from runtime.registry.files import put_once
from runtime.variants.cpu_class import cpu_class
from runtime.variants.pinned import pinned_from, render
from runtime.variants.values import Variant
from tests.knative.api.test_client import cluster, listed, status
from tests.knative.api.test_connection import send
from tests.runtime.published.test_reading import add, document, made
from tests.runtime.registry.model_files import digest, model
from tests.s3_server import S3Server

NO_CLUSTER = {"KUBECONFIG": "/none"}


@pytest.fixture
def registry(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Publish add 1.0.0 and add 2.0.0; return the registry."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    root = f"s3://models/{tmp_path.name}"
    for version in ("1.0.0", "2.0.0"):
        path = model(tmp_path / version, value=float(version[0]), external=True)
        publish_model(path, f"{root}/{version}/add.onnx", Publication("add", version, {"auc": 0.5}))
    return root


def run(*arguments: str, code: int = 0, environ: dict[str, str] | None = None) -> str:
    """Run the command and return its output, both streams."""
    result = CliRunner().invoke(scalezero, ["models", *arguments], env=environ or NO_CLUSTER)
    assert result.exit_code == code, result.output
    return result.output


def rows(output: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in output.splitlines()]


def test_the_models_are_listed(registry: str) -> None:
    found = rows(run("list", "--registry", registry))
    assert found[0] == ["KIND", "NAME", "VERSION", "FORMAT", "SIZE", "CHOSEN", "PUBLISHED", "URI"]
    assert [(row[:4], row[-1]) for row in found[1:]] == [
        (["model", "add", version, "onnx"], f"{registry}/{version}/add.onnx") for version in ("1.0.0", "2.0.0")
    ]


@pytest.mark.parametrize("prefix", ["2", "{registry}/2", "{registry}/2.0.0/"])
def test_a_prefix_restricts_the_list(registry: str, prefix: str) -> None:
    output = run("list", prefix.format(registry=registry), "--registry", registry, "-o", "json")
    (found,) = json.loads(output)
    assert (found["uri"], found["problem"]) == (f"{registry}/2.0.0/add.onnx", "")
    assert found["manifest"]["schemaVersion"] == 1


def test_a_model_without_a_manifest_is_listed_with_all(registry: str, tmp_path: Path) -> None:
    publish(model(tmp_path / "old"), f"{registry}/old.onnx", metadata={})
    assert "old.onnx" not in run("list", "--registry", registry)
    assert "no manifest" in run("list", "--registry", registry, "--all").splitlines()[-1]


def test_a_manifest_that_cannot_be_read_is_named(registry: str) -> None:
    put_once(f"{registry}/b.onnx.manifest.json", b"[]")
    output = run("list", "--registry", registry)
    assert "unreadable manifest" in output
    assert f"{registry}/b.onnx: its manifest cannot be read: the document: got []; expected an object\n" in output


def test_an_empty_registry_says_how_to_fill_it(registry: str) -> None:
    assert run("list", "none/", "--registry", registry) == (
        f"no models in {registry}/none/; scalezero publish FILE URI adds one\n"
    )


@pytest.mark.parametrize("command", ["list", "show add", "verify"])
def test_an_empty_registry_option_is_refused(command: str) -> None:
    output = run(*command.split(), "--registry", "", code=2)
    assert "--registry=''" in output
    assert "s3://bucket, s3://bucket/prefix or a folder" in output


def test_a_model_is_shown(registry: str, tmp_path: Path) -> None:
    output = run("show", "add", "--registry", registry)
    lines = [" ".join(line.split()) for line in output.splitlines()]
    path = tmp_path / "2.0.0" / "model.onnx"
    assert lines[0] == f"add 2.0.0 {registry}/2.0.0/add.onnx"
    assert lines[2] == f"sha256 {digest(path)}, {path.stat().st_size} B"
    assert lines[3].startswith("format onnx, IR 8, opset ai.onnx 17")
    assert "input x float32 [batch, 1]" in lines
    assert "metrics auc 0.5" in lines
    assert lines[-1].startswith("original CPU float32 ")


@pytest.mark.parametrize("reference", ["add:1.0.0", "{registry}/1.0.0/add.onnx"])
def test_json_and_yaml_are_the_manifest(registry: str, reference: str) -> None:
    name = reference.format(registry=registry)
    shown = json.loads(run("show", name, "--registry", registry, "-o", "json"))
    assert (shown["schemaVersion"], shown["name"], shown["version"]) == (1, "add", "1.0.0")
    assert yaml.safe_load(run("show", name, "--registry", registry, "-o", "yaml")) == shown


def test_an_unknown_model_is_an_error_with_the_known_ones(registry: str) -> None:
    expected = f"scalezero: no model sub in {registry}/: it has add:1.0.0, add:2.0.0\n"
    assert run("show", "sub", "--registry", registry, code=2) == expected
    assert run("verify", "sub", "--registry", registry, code=2) == expected


def test_every_object_is_verified(registry: str) -> None:
    found = json.loads(run("verify", "--registry", registry, "-o", "json"))
    assert len(found) == 4
    assert all(each["problem"] == "" for each in found)
    assert len(json.loads(run("verify", "add:1.0.0", "--registry", registry, "-o", "json"))) == 2
    assert len(json.loads(run("verify", "add", "--registry", registry, "-o", "json"))) == 4
    assert "ok" in run("verify", f"{registry}/1.0.0/add.onnx")


def test_a_damaged_object_ends_the_verification_with_1(registry: str, s3: S3Server) -> None:
    s3.put(f"{registry}/1.0.0/weights.bin", b"\0\0\0\0")
    output = run("verify", "--registry", registry, code=1)
    assert sum("its SHA-256 is" in line for line in output.splitlines()) == 1
    run("verify", "add:2.0.0", "--registry", registry)
    run("verify", "add:1.0.0", "--registry", registry, code=1)


def test_a_manifest_that_cannot_be_read_ends_the_verification_with_1(registry: str) -> None:
    put_once(f"{registry}/b.onnx.manifest.json", b"[]")
    assert "its manifest cannot be read" in run("verify", "--registry", registry, code=1)


def test_without_models_nothing_is_verified(registry: str) -> None:
    assert run("verify", "--registry", f"{registry}/none") == f"no models in {registry}/none/\n"


def test_without_a_cluster_a_deletion_needs_a_flag(registry: str) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    output = run("delete", uri, code=2)
    assert output.startswith(f"scalezero: {uri}: not deleted, as revisions may use it; --yes deletes it anyway: ")
    assert "no cluster is configured" in output
    assert read_manifest(uri) is not None
    assert run("delete", uri, "--yes").splitlines() == [
        f"{uri}.manifest.json: deleted",
        f"{registry}/1.0.0/weights.bin: deleted",
        f"{uri}: deleted",
    ]
    assert [each.uri for each in entries(f"{registry}/", every=True)] == [f"{registry}/2.0.0/add.onnx"]


def revision(value: str, name: str) -> dict[str, object]:
    """Return a revision with one variable."""
    variable = {"name": name, "value": value}
    return {"metadata": {"name": "add-v1"}, "spec": {"containers": [{"name": CONTAINER, "env": [variable]}]}}


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., dict[str, str]]]:
    """Return a function that makes the cluster's only revision serve a URI, and returns the environment."""
    served: list[tuple[str, str]] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        if "/deployments" in request.path:
            send(request, 200, listed())
        elif "/revisions" in request.path:
            send(request, 200, listed(*(revision(*each) for each in served)))
        else:
            send(request, 200, b"{}")

    with cluster(tmp_path, answer):

        def serve(value: str, name: str = "SCALEZERO_MODEL_URI") -> dict[str, str]:
            served.append((value, name))
            return {"KUBECONFIG": str(tmp_path / "kubeconfig")}

        yield serve


def test_a_model_that_a_revision_uses_is_not_deleted(registry: str, serving: Callable[[str], dict[str, str]]) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    environ = serving(f"{uri}?versionId=7")
    for flags in ((), ("--yes",)):
        assert run("delete", uri, *flags, code=2, environ=environ) == (
            f"scalezero: {uri}: revision/add-v1 in namespace shop still use it; "
            "deploy without it or delete them first\n"
        )
    assert read_manifest(uri) is not None


def test_a_companion_that_a_revision_serves_is_not_deleted(
    registry: str, serving: Callable[[str, str], dict[str, str]]
) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    companions = render_companions([Companion("add", "1.0.0", f"{uri}?versionId=7")])
    environ = serving(companions, "SCALEZERO_COMPANIONS")
    assert f"{uri}: revision/add-v1 in namespace shop still use it" in run("delete", uri, code=2, environ=environ)
    assert read_manifest(uri) is not None
    assert run("delete", f"{registry}/2.0.0/add.onnx", environ=environ).count(": deleted") == 3


def test_a_model_that_no_revision_uses_is_deleted(registry: str, serving: Callable[[str], dict[str, str]]) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    output = run("delete", uri, "-o", "json", environ=serving(f"{registry}/2.0.0/add.onnx"))
    assert json.loads(output[output.index("{") :]) == {
        "deleted": [f"{uri}.manifest.json", f"{registry}/1.0.0/weights.bin", uri],
        "kept": [],
    }


def test_a_cluster_that_refuses_prevents_the_deletion(registry: str, tmp_path: Path) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    refusal = status(403, "Forbidden", "revisions are forbidden")
    with cluster(tmp_path, lambda request: send(request, 403, refusal)):
        run("delete", uri, "--yes", code=2, environ={"KUBECONFIG": str(tmp_path / "kubeconfig")})
    assert read_manifest(uri) is not None


def test_a_model_in_a_folder_is_deleted_without_a_cluster(tmp_path: Path) -> None:
    uri = str(tmp_path / "registry" / "a.onnx")
    publish_model(model(tmp_path), uri, Publication("add", "1"))
    run("delete", uri)
    assert list((tmp_path / "registry").iterdir()) == []


@pytest.mark.parametrize(("uri", "text"), [("add", "the URI of one model"), ("s3://models/none.onnx", "no such model")])
def test_only_a_published_uri_is_deleted(registry: str, uri: str, text: str) -> None:
    assert text in run("delete", uri, "--yes", code=2)


@pytest.fixture
def measured(registry: str) -> tuple[str, Variant]:
    """Add an assessment with a variant to add 2.0.0, and an object that nothing names; return both."""
    uri = f"{registry}/2.0.0/add.onnx"
    manifest = read_manifest(uri)
    assert manifest is not None
    fast = made(manifest, "int8-dynamic")
    made(manifest, "int8-nncf", b"left by an interrupted publication")
    add(manifest, document(manifest, fast))
    return uri, fast


def test_the_chosen_variant_of_each_class_is_listed(registry: str, measured: tuple[str, Variant]) -> None:
    output = run("list", "--registry", registry)
    assert [" ".join(row).count("intel-amx int8-dynamic") for row in rows(output)[1:3]] == [0, 1]
    uri, _ = measured
    hint = f"{uri}: an interrupted publication left 1 unused object; scalezero models delete '{uri}' --leftovers"
    assert hint in output
    found = json.loads(run("list", "--registry", registry, "-o", "json").partition("\n]")[0] + "]")
    assert [len(each["added"]) for each in found] == [0, 1]


def test_variants_and_measurements_are_shown(registry: str, measured: tuple[str, Variant]) -> None:
    uri, fast = measured
    lines = [" ".join(line.split()) for line in run("show", uri).splitlines()]
    assert f"int8-dynamic CPU float32 22 B - - {fast.sha256} {fast.uri}" in lines
    assert "chosen: int8-dynamic:" in lines
    assert any(line.startswith("int8-dynamic") and line.endswith("chosen") for line in lines)
    shown = json.loads(run("show", uri, "-o", "json"))
    assert [each["document"]["assessment"]["cpuClass"] for each in shown["added"]] == ["intel-amx"]
    assert shown["variants"][0]["name"] == "original"


def test_the_objects_of_variants_are_verified(registry: str, measured: tuple[str, Variant], s3: S3Server) -> None:
    _, fast = measured
    found = json.loads(run("verify", "add:2.0.0", "--registry", registry, "-o", "json"))
    assert fast.uri in [each["uri"] for each in found]
    s3.put(fast.uri, b"damaged")
    run("verify", "add:2.0.0", "--registry", registry, code=1)


def test_only_leftovers_are_deleted_with_the_flag(measured: tuple[str, Variant]) -> None:
    uri, _ = measured
    output = run("delete", uri, "--leftovers", "--yes")
    assert output.count("deleted") == 1
    assert "int8-nncf" in output
    assert entries(uri)[0].leftovers == ()
    assert read_manifest(uri) is not None
    assert "int8-dynamic" in run("delete", uri, "--yes")
    assert entries(uri, every=True) == []


def test_an_added_assessment_is_deleted_alone(measured: tuple[str, Variant]) -> None:
    uri, fast = measured
    output = run("delete", f"{uri}.assessments/intel-amx.json", "--yes")
    assert "variants that only it names stay; --leftovers deletes them" in output
    assert fast.uri in entries(uri)[0].leftovers


def test_a_leftover_that_a_revision_pins_is_not_deleted(
    measured: tuple[str, Variant], serving: Callable[..., dict[str, str]]
) -> None:
    """A revision may have pinned a variant whose assessment was deleted later."""
    uri, fast = measured
    manifest = read_manifest(uri)
    assert manifest is not None
    pinned = render(pinned_from((*manifest.variants, fast), [document(manifest, fast).assessment]))
    run("delete", f"{uri}.assessments/intel-amx.json", "--yes")
    environ = serving(pinned, "SCALEZERO_VARIANTS")
    assert "revision/add-v1 in namespace shop still use it" in run(
        "delete", uri, "--leftovers", code=2, environ=environ
    )
    assert len(entries(uri)[0].leftovers) == 2


def test_a_published_model_is_measured(registry: str) -> None:
    uri = f"{registry}/1.0.0/add.onnx"
    output = run("measure", "add:1.0.0", "--registry", registry)
    place = f"{uri}.assessments/{cpu_class()}.json"
    assert output.splitlines()[-1] == f"{place} added"
    assert "chosen: original: " in output
    refused = run("measure", uri, code=2)
    assert "an assessment never changes; --again adds another measurement" in refused
