"""Reading goes on where other verbs stop, and what cannot be looked up is a note."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from knative.api.errors import ClusterUnreachable, Forbidden
from knative.checks import Report, Severity, Sources, examine
from knative.function.configuration import Flags
from knative.function.pins import Find
from knative.function.project import load
from knative.objects import Manifest, Ref
from runtime.cli import scalezero
from runtime.errors import BadSetting, StoreUnreachable
from runtime.registry import AlreadyPublished, Published, find, publish
from tests.knative.checks.cases import FUNCTION, KEYS, revision
from tests.knative.checks.cases import MODELS as WITHOUT_FINDING
from tests.models import identity
from tests.s3_server import S3Server


@dataclass
class Objects:
    """A cluster that holds these, or refuses to tell."""

    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    revisions: list[Manifest] = field(default_factory=list)
    forbidden: frozenset[str] = frozenset()
    reachable: bool = True
    asked: list[str] = field(default_factory=list)

    def get(self, ref: Ref) -> Manifest | None:
        self._ask(ref.kind)
        return self.objects.get(ref)

    def list(self, kind: str) -> list[Manifest]:
        self._ask(kind)
        return self.revisions

    def _ask(self, kind: str) -> None:
        self.asked.append(kind)
        if not self.reachable:
            raise ClusterUnreachable("https://10.0.0.1", "connection refused")
        if kind in self.forbidden:
            raise Forbidden("somebody", verb="get", resource=kind, group="", namespace="default")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "model.yaml").write_text(MODELS)
    (tmp_path / "func.yaml").write_text(FUNCTION)
    return tmp_path


MODELS = WITHOUT_FINDING.replace("enabled: false", "enabled: true")  # one advice
NO_FLAGS = Flags()


def report(
    folder: Path, *, find: Find | None = None, objects: Objects | None = None, flags: Flags = NO_FLAGS
) -> Report:
    return examine(load([folder], flags, environ={}), sources=Sources(find=find, cluster=objects))


def codes(found: Report) -> list[str]:
    return [each.code for each in found.findings]


def test_every_fault_of_every_file_is_told_with_its_place(folder: Path) -> None:
    (folder / "model.yaml").write_text(
        MODELS.replace("batchSize: 32", "batchSize: 0").replace("kind: ModelOptimization", "kind: Optimization")
    )
    (folder / "other.yaml").write_text("a: [\n")
    (folder / "func.yaml").write_text(FUNCTION.replace("specVersion: 0.36.0", "specVersion: 1"))
    lines = {(each.where or "").rpartition("/")[2] for each in report(folder).findings if each.code == "bad-manifest"}
    assert lines == {"model.yaml:32", "model.yaml:37", "other.yaml:2", "func.yaml:3"}


def test_a_finding_says_what_came_and_the_fix_what_would_be_right(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("batchSize: 32", "batchSize: 0"))
    found = report(folder).findings[0]
    assert found.what == "spec.batchSize: got 0"
    assert found.fix == "write a whole number of rows from 1 to 4096"


def test_a_resource_that_cannot_stand_beside_another_is_left_out_alone(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("name: payment-model-v2", "name: payment-model-v1"))
    assert set(codes(report(folder))) == {"declared-twice", "split-revision-undeclared", "optimization-waits"}


def test_a_function_outside_of_functions_is_refused_as_deploy_refuses_it(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION.replace("FUNCTION_SOURCE", "OTHER").replace("image:", "domain:"))
    (folder / "main.py").touch()
    found = report(folder)
    assert not found.passes()
    finding = next(each for each in found.findings if each.code == "function-not-served")
    assert f"scripts/image --function {folder}" in finding.fix
    with pytest.raises(BadSetting, match=f"scripts/image --function {folder}"):
        load((folder,), NO_FLAGS, environ={}).require_valid()


def test_a_function_under_functions_is_served_wherever_it_is_looked_at_from(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "functions" / "mine"
    place.mkdir(parents=True)
    (place / "model.yaml").write_text(MODELS)
    (place / "main.py").touch()
    monkeypatch.chdir(place)
    assert "function-not-served" not in codes(report(place))


def test_errors_come_first_and_no_finding_twice(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("percent: 50", "percent: 49"))
    found = report(folder).findings
    ranks = [list(Severity).index(each.severity) for each in found]
    assert ranks == sorted(ranks)
    assert len(set(found)) == len(found)


def test_findings_of_a_file_come_as_their_lines_do(folder: Path) -> None:
    """By number: as text, line 20 would come before line 8."""
    (folder / "model.yaml").write_text(
        MODELS.replace("kind: ModelVersion", "kind: Version").replace("batchSize: 32", "batchSize: 0")
    )
    places = [each.where or "" for each in report(folder).findings if each.code == "bad-manifest"]
    lines = [int(each.rpartition(":")[2]) for each in places]
    assert len({len(str(line)) for line in lines}) > 1
    assert lines == sorted(lines)


def test_a_func_yaml_with_a_bad_option_is_not_compared(folder: Path) -> None:
    """Its other values are unknown then, and a difference would be one from a default."""
    (folder / "func.yaml").write_text(FUNCTION.replace("memory: 512Mi", "memory: 5e8").replace('"32"', '"64"'))
    assert (
        {"bad-manifest", "optimization-waits"}
        <= {*codes(report(folder))}
        <= {
            "bad-manifest",
            "optimization-waits",
            "registry-without-keys",
        }
    )


def test_a_folder_without_manifests_is_a_finding(tmp_path: Path) -> None:
    (found,) = (each for each in report(tmp_path).findings if each.code == "bad-manifest")
    assert found.where == str(tmp_path)


def test_manifests_of_two_functions_are_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.yaml").write_text(MODELS.replace("payment-model", "other"))
    (other / "func.yaml").write_text(FUNCTION.replace("name: payment-model", "name: other"))
    with pytest.raises(BadSetting, match=r"one func\.yaml at a time"):
        load([folder, other], Flags(), environ={})


def test_only_errors_fail_unless_it_is_strict(folder: Path) -> None:
    assert report(folder).passes(strict=True)
    (folder / "func.yaml").write_text(FUNCTION.replace("scalezero:0.1.0", "scalezero:latest"))
    assert report(folder).passes()
    assert not report(folder).passes(strict=True)
    (folder / "func.yaml").write_text(FUNCTION.replace('value: "32"', 'value: "33"'))
    assert not report(folder).passes()


def test_the_cluster_tells_what_is_there(folder: Path) -> None:
    objects = Objects(revisions=[revision("other") | {"metadata": {"name": "payment-model-v1"}}])
    found = report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert {"secret-missing", "service-account-missing", "revision-taken"} <= set(codes(found))
    secret: Manifest = {"data": dict.fromkeys(KEYS, "")}
    there = Objects({Ref("Secret", "scalezero-s3"): secret, Ref("ServiceAccount", "reader"): {}})
    found = report(folder, objects=there, flags=Flags(service_account="reader"))
    assert codes(found) == ["optimization-waits"]
    assert found.notes == ()


def test_of_a_cluster_is_asked_only_what_is_counted_on(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    objects = Objects()
    report(folder, objects=objects)
    assert objects.asked == ["Revision", "Service", "Secret"]
    objects = Objects()
    report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert objects.asked == ["Revision", "Service", "ServiceAccount"]


def test_keys_that_nothing_names_are_found_in_the_namespace(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    there = Objects({Ref("Secret", "scalezero-s3"): {"data": dict.fromkeys(KEYS, "")}})
    found = {each.code: each for each in report(folder, objects=there).findings}
    assert found["registry-keys-unused"].fix.startswith("--s3-secret scalezero-s3")
    assert "registry-without-keys" not in found


def test_that_a_secret_which_nothing_names_may_not_be_looked_at_is_no_note(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    found = report(folder, objects=Objects(forbidden=frozenset({"Secret"})))
    assert "registry-without-keys" in codes(found)
    assert found.notes == ()


def test_what_a_flag_says_is_not_blamed_on_the_file(folder: Path) -> None:
    flags = Flags(image="a:latest", service_account="reader", s3_secret="keys", s3_endpoint="http://[::1]:1")  # noqa: S106 - its name
    found = {each.code: each.where for each in report(folder, objects=Objects(), flags=flags).findings}
    codes = ("image-latest", "registry-on-loopback", "secret-missing", "service-account-missing")
    assert [found[code] for code in codes] == [None] * 4
    assert {each.code: each.where for each in report(folder, objects=Objects()).findings}["secret-missing"] is not None


def test_what_may_not_be_asked_is_noted_and_the_rest_goes_on(folder: Path) -> None:
    objects = Objects(forbidden=frozenset({"Secret"}))
    found = report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert "secret-missing" not in codes(found)
    assert "service-account-missing" in codes(found)
    assert [note.startswith("somebody cannot get Secret") for note in found.notes] == [True]


def test_a_cluster_that_does_not_answer_is_asked_once(folder: Path) -> None:
    objects = Objects(reachable=False)
    found = report(folder, objects=objects)
    assert codes(found) == ["optimization-waits"]
    assert len(objects.asked) == len(found.notes) == 1
    assert "does not answer" in found.notes[0]


def test_a_registry_that_does_not_answer_is_asked_once(folder: Path) -> None:
    asked: list[str] = []

    def unreachable(uri: str) -> Published | None:
        asked.append(uri)
        raise StoreUnreachable(uri, "connection refused")

    found = report(folder, find=unreachable)
    assert len(asked) == len(found.notes) == 1


def test_a_path_in_the_image_is_not_looked_for_here(folder: Path) -> None:
    text = MODELS.replace("type: s3", "type: file").replace("s3://models", "/models")
    (folder / "model.yaml").write_text(text)
    assert report(folder, find=lambda _: None).findings == report(folder).findings


def test_the_registry_tells_the_size_and_what_is_missing(
    folder: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    s3.make_bucket("checked")
    (folder / "model.yaml").write_text(MODELS.replace("s3://models", "s3://checked"))
    (folder / "func.yaml").write_text(FUNCTION.replace("s3://models", "s3://checked").replace("1Gi", '"1"'))
    model = folder / "model.onnx"
    identity(model)
    publish(model, "s3://checked/payment-model-v1.onnx", metadata={})
    found = {each.code: each for each in report(folder, find=find).findings}
    assert found["artifact-missing"].what == "payment-model-v2: there is nothing at s3://checked/payment-model-v2.onnx"
    assert found["artifact-missing"].fix == "scalezero publish FILE s3://checked/payment-model-v2.onnx"
    (folder / "train.py").touch()
    fixes = {each.code: each.fix for each in report(folder, find=find).findings}
    assert fixes["artifact-missing"] == "scalezero publish with the folder, which deploy does by itself"
    assert found["cache-below-model"].what.startswith("payment-model-v1: its model has 1Mi")


def test_what_was_put_into_the_registry_by_other_means_is_a_warning(
    folder: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be anything; publishing over it is refused, so the fix names another place."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    uri = "s3://undigested/payment-model-v1.onnx"
    s3.put(uri, b"no model at all", {})
    (folder / "model.yaml").write_text(MODELS.replace("s3://models", "s3://undigested"))
    (folder / "func.yaml").write_text(FUNCTION.replace("s3://models", "s3://undigested"))
    found = {each.code: each for each in report(folder, find=find).findings}["artifact-undigested"]
    assert found.severity is Severity.WARNING
    assert "a URI that is free" in found.fix
    model = folder / "model.onnx"
    identity(model)
    with pytest.raises(AlreadyPublished):
        publish(model, uri, metadata={})


def test_without_a_cluster_the_files_are_checked_and_a_note_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server
) -> None:
    for name, value in {**s3.environment(), "KUBECONFIG": str(folder / "none")}.items():
        monkeypatch.setenv(name, value)
    said = CliRunner().invoke(scalezero, ["check", "-f", str(folder)])
    assert said.exit_code == 0
    assert "note: the cluster could not be asked: no cluster is configured" in said.output
    assert CliRunner().invoke(scalezero, ["check", "-f", str(folder), "--context", "other"]).exit_code == 2


def run(*words: str) -> Result:
    return CliRunner().invoke(scalezero, ["check", *words, "--offline"])


def test_the_command_ends_by_what_was_found(folder: Path) -> None:
    assert run("-f", str(folder), "--strict").exit_code == 0
    (folder / "func.yaml").write_text(FUNCTION.replace("scalezero:0.1.0", "scalezero:latest"))
    assert run("-f", str(folder)).exit_code == 0
    assert run("-f", str(folder), "--strict").exit_code == 1
    (folder / "func.yaml").write_text(FUNCTION.replace('value: "32"', 'value: "33"'))
    assert run("-f", str(folder)).exit_code == 1


def test_what_cannot_be_used_at_all_ends_with_two(folder: Path) -> None:
    assert run("-f", str(folder / "nothing.yaml")).exit_code == 2
    said = run("-f", str(folder), "--image", "no image")
    assert said.exit_code == 2
    assert "image='no image': expected the reference of an image" in said.output


def test_the_command_prints_lines_for_people_and_data_for_programs(folder: Path) -> None:
    assert run("-f", str(folder)).output.splitlines() == [
        f"{folder}/model.yaml:42: advice optimization-waits: payment-model-quantization asks for int8",
        "    Quantized variants are not built yet, so the float model serves.",
        "    fix: nothing; it is kept for when there is one",
        "1 advice",
    ]
    read = json.loads(run("-f", str(folder), "-o", "json").output)
    assert read == yaml.safe_load(run("-f", str(folder), "-o", "yaml").output)
    assert [each["code"] for each in read["findings"]] == ["optimization-waits"]
    assert read["notes"] == []
