"""The rules for a function with companions: all models of a pod count together, and only revisions have traffic."""

from dataclasses import replace
from pathlib import Path

import pytest

from knative.checks.facts import with_artifacts
from knative.checks.finding import Finding
from knative.checks.reading import finding_of
from knative.checks.rules import findings
from knative.checks.run import subject_of
from knative.checks.subject import Artifact, Facts
from knative.function.configuration import Flags
from knative.function.project import load
from runtime.registry import Published
from tests.knative.documents import version

MAIN, READER = "s3://models/shop-v1.onnx", "s3://models/reader-v2.onnx"
MANIFEST = (
    version("shop-v1", "shop", path=MAIN, number="1")
    + version("reader-v1", "reader", path="s3://models/reader-v1.onnx", number="1")
    + version("reader-v2", "reader", path=READER, number="2")
)
CONFIG = (
    "---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {name: reader-config}\n"
    "spec: {batchSize: 64, maxWaitTime: 20ms, timeout: TIMEOUT}\n"
)
FUNCTION = """
specVersion: 0.36.0
name: shop
created: 2026-11-23T00:00:00Z
image: dev.local/shop:1
run:
  envs:
    - {name: AWS_ACCESS_KEY_ID, value: "{{ secret:scalezero-s3:AWS_ACCESS_KEY_ID }}"}
    - {name: AWS_SECRET_ACCESS_KEY, value: "{{ secret:scalezero-s3:AWS_SECRET_ACCESS_KEY }}"}
  volumes:
    - {path: /var/cache/scalezero, emptyDir: {sizeLimit: 100Mi}}
"""
MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A function with the main model `shop` and the companion `reader`."""
    (tmp_path / ".git").mkdir()  # the search for func.yaml ends here
    (tmp_path / "model.yaml").write_text(MANIFEST)
    (tmp_path / "func.yaml").write_text(FUNCTION)
    (tmp_path / "main.py").touch()
    return tmp_path


def check(folder: Path, **sizes: int) -> list[Finding]:
    """Check the folder; `sizes` are those of the objects in the registry, in MiB."""
    project = load([folder], Flags(), environ={})
    uris = {f"s3://models/{name.replace('_', '-')}.onnx": size for name, size in sizes.items()}
    facts = Facts(artifacts={uri: Artifact(size * MIB, "ab") for uri, size in uris.items()})
    return [*map(finding_of, project.faults), *findings(replace(subject_of(project), facts=facts))]


def codes(found: list[Finding]) -> set[str]:
    return {each.code for each in found}


def test_a_valid_function_with_a_companion_has_no_finding(folder: Path) -> None:
    assert check(folder, shop_v1=10, reader_v2=10) == []


def test_the_memory_and_the_cache_must_have_room_for_all_models_together(folder: Path) -> None:
    assert codes(check(folder, shop_v1=50, reader_v2=50)) == set()
    assert codes(check(folder, shop_v1=51, reader_v2=50)) == {"cache-below-model"}
    (folder / "func.yaml").write_text(FUNCTION.replace("100Mi", "1Gi"))
    assert codes(check(folder, shop_v1=239, reader_v2=1)) == {"memory-tight"}
    (found,) = check(folder, shop_v1=121, reader_v2=120)
    assert (found.code, found.what) == (
        "memory-below-model",
        "shop-v1: the size of its models is 241Mi, the memory limit of a pod is 512Mi",
    )


def test_an_older_version_of_a_companion_does_not_count(folder: Path) -> None:
    """No new revision serves it."""
    assert check(folder, shop_v1=10, reader_v1=1000, reader_v2=10) == []


def test_only_the_objects_that_new_revisions_serve_are_looked_up(folder: Path) -> None:
    asked: list[str] = []

    def find(uri: str) -> Published | None:
        asked.append(uri)
        return None

    subject = with_artifacts(subject_of(load([folder], Flags(), environ={})), find, [])
    assert asked == [MAIN, READER]
    missing = [each.what for each in findings(subject) if each.code == "artifact-missing"]
    assert missing == [f"shop-v1: {MAIN} does not exist", f"reader-v2: {READER} does not exist"]


def test_the_batching_of_a_companion_is_checked_but_not_against_the_concurrency_of_the_revision(folder: Path) -> None:
    limits = "deploy: {options: {resources: {limits: {concurrency: 64}}}}\n"  # two batches of 32 of the main model
    (folder / "func.yaml").write_text(FUNCTION + limits)
    (folder / "model.yaml").write_text(MANIFEST + CONFIG.replace("TIMEOUT", "5s"))
    assert check(folder) == []
    (folder / "model.yaml").write_text(MANIFEST + CONFIG.replace("TIMEOUT", "31s"))
    (found,) = check(folder)
    assert found.code == "grace-below-timeout"
    assert found.what.startswith("reader: a request may wait 31s")


@pytest.mark.parametrize(("timeout", "found"), [("1s", set()), ("2s", {"timeout-cut"})])
def test_the_waits_in_the_queues_of_all_models_add_up(folder: Path, timeout: str, found: set[str]) -> None:
    """300 s for the pull, 30 s in the main model's queue, 30 s for queue-proxy and 239 s of grace leave 1 s of 600."""
    grace = '    - {name: SCALEZERO_GRACE_PERIOD, value: "239s"}\n  volumes:'
    (folder / "func.yaml").write_text(FUNCTION.replace("  volumes:", grace))
    (folder / "model.yaml").write_text(MANIFEST + CONFIG.replace("TIMEOUT", timeout))
    assert codes(check(folder)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[{"name": "reader", "version": "2", "uri": "s3://models/reader-v2.onnx"}]', set()),
        ('[{"name": "reader", "version": "2", "uri": "s3://models/reader-v2.onnx?versionId=7"}]', set()),
        ('[{"name": "reader", "version": "1", "uri": "s3://models/reader-v1.onnx"}]', {"func-yaml-disagrees"}),
        ("[]", {"func-yaml-disagrees"}),
        ("[", {"bad-manifest", "registry-without-keys"}),  # the other values of the file are then unknown
    ],
)
def test_the_companions_in_func_yaml_are_the_declared_ones(folder: Path, text: str, found: set[str]) -> None:
    """`func deploy` reads only func.yaml."""
    variable = f"    - {{name: SCALEZERO_COMPANIONS, value: {text!r}}}\n  volumes:"
    (folder / "func.yaml").write_text(FUNCTION.replace("  volumes:", variable))
    assert codes(check(folder)) == found


def test_an_older_version_of_a_companion_may_be_where_no_pod_can_read_it(folder: Path) -> None:
    older = version("reader-v0", "reader", path="reader.onnx", number="0")
    (folder / "model.yaml").write_text(MANIFEST + older)
    assert check(folder) == []
    (folder / "model.yaml").write_text(MANIFEST + older.replace("'0'", "'3'"))
    assert codes(check(folder)) == {"artifact-out-of-reach"}


def test_a_split_of_a_companion_is_an_error_at_its_line(folder: Path) -> None:
    split = "---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: ab}\nspec:\n  traffic:\n"
    targets = "    - {revisionName: shop-v1, percent: 50}\n    - {revisionName: reader-v2, percent: 50}\n"
    (folder / "model.yaml").write_text(MANIFEST + split + targets)
    (found,) = (each for each in check(folder) if each.code == "split-of-companion")
    line = (folder / "model.yaml").read_text().splitlines().index(targets.splitlines()[1]) + 1
    assert found.where == f"{folder / 'model.yaml'}:{line}"
    assert found.what == "ab routes to reader-v2, a version of a companion"
    assert found.fix == "route to revisions of shop"


def test_a_companion_needs_no_name_for_a_knative_service(folder: Path) -> None:
    """Its name is only in URLs and in messages."""
    seven = MANIFEST.replace("reader", "7-reader")
    (folder / "model.yaml").write_text(seven)
    assert check(folder) == []


def test_several_models_without_a_func_yaml_of_one_are_an_error_with_their_names(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    (found,) = (each for each in check(folder) if each.code == "bad-manifest")
    assert found.where == str(folder / "func.yaml")
    assert "the models shop, reader" in found.what
    assert "one of shop, reader" in found.fix
