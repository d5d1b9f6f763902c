"""check continues after errors that stop other commands, and reports failed queries as notes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from knative.api.errors import ClusterUnreachable, EventingMissing, Forbidden
from knative.checks import Report, Severity, Sources, examine
from knative.checks.facts import with_artifacts
from knative.checks.finding import Finding
from knative.checks.run import subject_of
from knative.function.configuration import Flags
from knative.function.pins import Find, PublishedVariants
from knative.function.project import load
from knative.objects import APIS, EVENTING_KINDS, Manifest, Ref
from runtime.cli import scalezero
from runtime.errors import BadSetting, StoreUnreachable
from runtime.registry import AlreadyPublished, Published, PublishedGuest, find, publish
from tests.knative.checks.cases import FUNCTION, KEYS, revision
from tests.knative.checks.cases import MODELS as WITHOUT_FINDING
from tests.knative.published import SHA256, assessment, variant
from tests.models import identity
from tests.s3_server import S3Server


@dataclass
class Objects:
    """A cluster with these objects, which may refuse queries."""

    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    revisions: list[Manifest] = field(default_factory=list)
    routes: list[Manifest] = field(default_factory=list)
    forbidden: frozenset[str] = frozenset()
    reachable: bool = True
    queried: list[str] = field(default_factory=list)
    missing_api: str | None = None

    def get(self, ref: Ref) -> Manifest | None:
        self._ask(ref.kind)
        return self.objects.get(ref)

    def list(self, kind: str) -> list[Manifest]:
        self._ask(kind)
        if self.missing_api == APIS[kind].version:
            raise EventingMissing("https://10.0.0.1", self.missing_api)
        if kind in {"Broker", "Service"}:
            return [{"metadata": {"name": ref.name}} for ref in self.objects if ref.kind == kind]
        return self.routes if kind == "Route" else self.revisions

    def _ask(self, kind: str) -> None:
        self.queried.append(kind)
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


MODELS = WITHOUT_FINDING.replace("enabled: false", "enabled: true")
NO_FLAGS = Flags()


def report(
    folder: Path, *, find: Find | None = None, objects: Objects | None = None, flags: Flags = NO_FLAGS
) -> Report:
    return examine(load([folder], flags, environ={}), sources=Sources(find=find, cluster=objects))


def codes(found: Report) -> list[str]:
    return [each.code for each in found.findings]


def test_every_error_of_every_file_is_reported_with_its_place(folder: Path) -> None:
    (folder / "model.yaml").write_text(
        MODELS.replace("batchSize: 32", "batchSize: 0").replace("kind: ModelOptimization", "kind: Optimization")
    )
    (folder / "other.yaml").write_text("a: [\n")
    (folder / "func.yaml").write_text(FUNCTION.replace("specVersion: 0.36.0", "specVersion: 1"))
    lines = {(each.where or "").rpartition("/")[2] for each in report(folder).findings if each.code == "bad-manifest"}
    assert lines == {"model.yaml:32", "model.yaml:37", "other.yaml:2", "func.yaml:3"}


def test_a_finding_has_the_value_and_the_fix_has_the_allowed_values(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("batchSize: 32", "batchSize: 0"))
    found = report(folder).findings[0]
    assert found.what == "spec.batchSize: got 0"
    assert found.fix == "write a whole number of rows from 1 to 4096"


def test_only_the_second_of_two_conflicting_resources_is_ignored(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("name: payment-model-v2", "name: payment-model-v1"))
    assert set(codes(report(folder))) == {"declared-twice", "split-revision-undeclared"}


def test_a_function_outside_of_functions_is_refused_by_check_and_deploy(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION.replace("FUNCTION_SOURCE", "OTHER").replace("image:", "domain:"))
    (folder / "main.py").touch()
    found = report(folder)
    assert not found.passes()
    finding = next(each for each in found.findings if each.code == "function-not-served")
    assert f"scripts/image --function {folder}" in finding.fix
    with pytest.raises(BadSetting, match=f"scripts/image --function {folder}"):
        load((folder,), NO_FLAGS, environ={}).require_valid()


def test_a_function_under_functions_is_served_from_any_working_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "functions" / "mine"
    place.mkdir(parents=True)
    (place / "model.yaml").write_text(MODELS)
    (place / "main.py").touch()
    monkeypatch.chdir(place)
    assert "function-not-served" not in codes(report(place))


def test_errors_are_first_and_findings_are_unique(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("percent: 50", "percent: 49"))
    found = report(folder).findings
    ranks = [list(Severity).index(each.severity) for each in found]
    assert ranks == sorted(ranks)
    assert len(set(found)) == len(found)


def test_findings_of_a_file_are_sorted_by_line(folder: Path) -> None:
    """By number: sorted as text, line 20 would be before line 8."""
    (folder / "model.yaml").write_text(
        MODELS.replace("kind: ModelVersion", "kind: Version").replace("batchSize: 32", "batchSize: 0")
    )
    places = [each.where or "" for each in report(folder).findings if each.code == "bad-manifest"]
    lines = [int(each.rpartition(":")[2]) for each in places]
    assert len({len(str(line)) for line in lines}) > 1
    assert lines == sorted(lines)


def test_a_func_yaml_with_a_bad_option_is_not_compared(folder: Path) -> None:
    """Its other values are unknown, so a difference would be one from a default."""
    (folder / "func.yaml").write_text(FUNCTION.replace("memory: 512Mi", "memory: 5e8").replace('"32"', '"64"'))
    assert {"bad-manifest"} <= {*codes(report(folder))} <= {"bad-manifest", "registry-without-keys"}


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


def test_only_errors_fail_unless_strict(folder: Path) -> None:
    assert report(folder).passes(strict=True)
    (folder / "func.yaml").write_text(FUNCTION.replace("scalezero:0.1.0", "scalezero:latest"))
    assert report(folder).passes()
    assert not report(folder).passes(strict=True)
    (folder / "func.yaml").write_text(FUNCTION.replace('value: "32"', 'value: "33"'))
    assert not report(folder).passes()


def test_the_findings_use_the_objects_of_the_cluster(folder: Path) -> None:
    objects = Objects(revisions=[revision("other") | {"metadata": {"name": "payment-model-v1"}}])
    found = report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert {"secret-missing", "service-account-missing", "revision-taken"} <= set(codes(found))
    secret: Manifest = {"data": dict.fromkeys(KEYS, "")}
    existing = Objects({Ref("Secret", "scalezero-s3"): secret, Ref("ServiceAccount", "reader"): {}})
    found = report(folder, objects=existing, flags=Flags(service_account="reader"))
    assert codes(found) == []
    assert found.notes == ()


def test_only_the_objects_that_the_deployment_needs_are_queried(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    objects = Objects()
    report(folder, objects=objects)
    assert objects.queried == ["Revision", "Route", "Secret"]
    objects = Objects()
    report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert objects.queried == ["Revision", "Route", "ServiceAccount"]


@pytest.fixture
def with_events(folder: Path) -> Path:
    events = 'timeout: "1s"\n  events: {triggers: [{type: a}], sequence: {steps: [payment-model, b]}}'
    (folder / "model.yaml").write_text(MODELS.replace('timeout: "1s"', events))
    return folder


def test_the_brokers_and_functions_of_the_namespace_are_queried_for_events(with_events: Path) -> None:
    secret: Manifest = {"data": dict.fromkeys(KEYS, "")}
    objects = Objects({Ref("Secret", "scalezero-s3"): secret, Ref("Service", "b"): {}, Ref("Broker", "other"): {}})
    assert codes(report(with_events, objects=objects)) == ["broker-missing", "dead-letters-dropped"]
    objects.objects = {**objects.objects, Ref("Broker", "default"): {}}
    assert codes(report(with_events, objects=objects)) == ["dead-letters-dropped"]
    assert objects.queried[-5:] == ["Service", *EVENTING_KINDS]


def test_a_cluster_without_eventing_is_an_error_before_anything_is_published(with_events: Path) -> None:
    objects = Objects(missing_api="flows.knative.dev/v1")
    found = report(with_events, objects=objects)
    (missing,) = (each for each in found.findings if each.code == "eventing-missing")
    assert missing.what == "the cluster has no flows.knative.dev/v1"
    assert missing.where is not None


def test_missing_permission_for_events_is_a_note(with_events: Path) -> None:
    found = report(with_events, objects=Objects(forbidden=frozenset({"Broker"})))
    assert "cannot get Broker" in found.notes[0]
    assert "broker-missing" not in codes(found)


def test_an_unused_registry_secret_in_the_namespace_is_a_finding(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    existing = Objects({Ref("Secret", "scalezero-s3"): {"data": dict.fromkeys(KEYS, "")}})
    found = {each.code: each for each in report(folder, objects=existing).findings}
    assert found["registry-keys-unused"].fix.startswith("use --s3-secret scalezero-s3")
    assert "registry-without-keys" not in found


def test_missing_permission_for_an_unused_secret_is_not_a_note(folder: Path) -> None:
    (folder / "func.yaml").unlink()
    found = report(folder, objects=Objects(forbidden=frozenset({"Secret"})))
    assert "registry-without-keys" in codes(found)
    assert found.notes == ()


def test_a_finding_about_a_flag_has_no_place_in_a_file(folder: Path) -> None:
    flags = Flags(image="a:latest", service_account="reader", s3_secret="keys", s3_endpoint="http://[::1]:1")  # noqa: S106 - its name
    found = {each.code: each.where for each in report(folder, objects=Objects(), flags=flags).findings}
    codes = ("image-latest", "registry-on-loopback", "secret-missing", "service-account-missing")
    assert [found[code] for code in codes] == [None] * 4
    assert {each.code: each.where for each in report(folder, objects=Objects()).findings}["secret-missing"] is not None


def test_a_forbidden_query_becomes_a_note_and_the_others_continue(folder: Path) -> None:
    objects = Objects(forbidden=frozenset({"Secret"}))
    found = report(folder, objects=objects, flags=Flags(service_account="reader"))
    assert "secret-missing" not in codes(found)
    assert "service-account-missing" in codes(found)
    assert [note.startswith("somebody cannot get Secret") for note in found.notes] == [True]


def test_an_unreachable_cluster_is_queried_once(folder: Path) -> None:
    objects = Objects(reachable=False)
    found = report(folder, objects=objects)
    assert codes(found) == []
    assert len(objects.queried) == len(found.notes) == 1
    assert "does not answer" in found.notes[0]


def test_an_unreachable_registry_is_queried_once(folder: Path) -> None:
    queried: list[str] = []

    def unreachable(uri: str) -> Published | None:
        queried.append(uri)
        raise StoreUnreachable(uri, "connection refused")

    found = report(folder, find=unreachable)
    assert len(queried) == len(found.notes) == 1


def test_a_path_in_the_image_is_not_looked_up(folder: Path) -> None:
    text = MODELS.replace("type: s3", "type: file").replace("s3://models", "/models")
    (folder / "model.yaml").write_text(text)
    assert report(folder, find=lambda _: None).findings == report(folder).findings


def test_the_findings_use_the_sizes_and_missing_artifacts_of_the_registry(
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
    assert found["artifact-missing"].what == "payment-model-v2: s3://checked/payment-model-v2.onnx does not exist"
    assert found["artifact-missing"].fix == "run scalezero publish FILE s3://checked/payment-model-v2.onnx"
    (folder / "train.py").touch()
    fixes = {each.code: each.fix for each in report(folder, find=find).findings}
    assert fixes["artifact-missing"].startswith("run scalezero publish with the folder")
    assert found["cache-below-model"].what.startswith("payment-model-v1: the size of its model is 1Mi")


def test_an_artifact_that_was_not_published_by_scalezero_is_a_warning(
    folder: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content is unknown. It cannot be overwritten, so the fix names another URI."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    uri = "s3://undigested/payment-model-v1.onnx"
    s3.put(uri, b"no model at all", {})
    (folder / "model.yaml").write_text(MODELS.replace("s3://models", "s3://undigested"))
    (folder / "func.yaml").write_text(FUNCTION.replace("s3://models", "s3://undigested"))
    found = {each.code: each for each in report(folder, find=find).findings}["artifact-undigested"]
    assert found.severity is Severity.WARNING
    assert "an unused URI" in found.fix
    model = folder / "model.onnx"
    identity(model)
    with pytest.raises(AlreadyPublished):
        publish(model, uri, metadata={})


def test_without_a_cluster_the_files_are_checked_and_a_note_is_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, s3: S3Server
) -> None:
    for name, value in {**s3.environment(), "KUBECONFIG": str(folder / "none")}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(scalezero, ["check", "-f", str(folder)])
    assert result.exit_code == 0
    assert "note: cannot query the cluster: no cluster is configured" in result.output
    assert CliRunner().invoke(scalezero, ["check", "-f", str(folder), "--context", "other"]).exit_code == 2


def run(*words: str) -> Result:
    return CliRunner().invoke(scalezero, ["check", *words, "--offline"])


def test_the_exit_code_depends_on_the_findings(folder: Path) -> None:
    assert run("-f", str(folder), "--strict").exit_code == 0
    (folder / "func.yaml").write_text(FUNCTION.replace("scalezero:0.1.0", "scalezero:latest"))
    assert run("-f", str(folder)).exit_code == 0
    assert run("-f", str(folder), "--strict").exit_code == 1
    (folder / "func.yaml").write_text(FUNCTION.replace('value: "32"', 'value: "33"'))
    assert run("-f", str(folder)).exit_code == 1


def test_invalid_arguments_exit_with_2(folder: Path) -> None:
    assert run("-f", str(folder / "nothing.yaml")).exit_code == 2
    result = run("-f", str(folder), "--image", "no image")
    assert result.exit_code == 2
    assert "image='no image': expected the reference of an image" in result.output


def test_the_command_prints_text_json_and_yaml(folder: Path) -> None:
    (folder / "func.yaml").write_text(FUNCTION.replace("min: 0", "min: 1"))
    place = f"{folder}/func.yaml:{1 + FUNCTION[: FUNCTION.index('min: 0')].count(chr(10))}"
    assert run("-f", str(folder)).output.splitlines() == [
        f"{place}: advice always-on: each revision always has at least 1 pods, so it never scales to zero",
        "    These pods run, and cost money, even without requests.",
        "    fix: set min: 0, if a cold start is fast enough",
        "1 advice",
    ]
    read = json.loads(run("-f", str(folder), "-o", "json").output)
    assert read == yaml.safe_load(run("-f", str(folder), "-o", "yaml").output)
    assert [each["code"] for each in read["findings"]] == ["always-on"]
    assert read["notes"] == []


def test_a_version_with_traffic_from_a_separate_route_has_traffic(folder: Path) -> None:
    """Its Service sends it nothing, and a Route of its own, such as a canary's, does."""
    (folder / "model.yaml").write_text("---".join(each for each in MODELS.split("---") if "traffic:" not in each))
    assert "version-without-traffic" in codes(report(folder, objects=Objects()))
    targets = [{"revisionName": "payment-model-v2", "percent": 0, "tag": "v2"}]
    service = {"metadata": {"name": "payment-model"}, "status": {"traffic": targets}}
    shared = [*targets, {"revisionName": "payment-model-v2", "percent": 20}]
    canary = {"metadata": {"name": "canary"}, "status": {"traffic": shared}}
    assert "version-without-traffic" not in codes(report(folder, objects=Objects(routes=[canary, service])))


def test_the_variants_of_the_registry_are_checked(folder: Path) -> None:
    measured = [assessment("intel-amx", "openvino", {"openvino": 2.0})]
    sources = Sources(find=in_registry, variants=lambda _: ([variant(), variant("openvino")], measured))
    found = examine(load([folder], NO_FLAGS, environ={}), sources=sources)
    assert codes(found) == ["openvino-not-in-image"] * 2 + ["optimization-not-int8"] * 2
    assert found.findings[2].what.startswith("payment-model-v1: FasterVariantChosen: on intel-amx, openvino (2.00 x")


def test_the_original_is_read_with_its_prepared_forms_although_no_class_serves_it(folder: Path) -> None:
    made, measured = variant(prepared=("a",)), [assessment("intel-amx", "openvino", {"openvino": 2.0})]
    subject = subject_of(load([folder], NO_FLAGS, environ={}))
    found = with_artifacts(subject, in_registry, [], variants=lambda _: ([made, variant("openvino")], measured))
    assert [each and each.original for each in found.facts.artifacts.values()] == [made] * len(found.facts.artifacts)


@pytest.mark.parametrize(
    ("bounds", "chosen", "metric", "fix"),
    [
        (
            "maxAccuracyLoss: 0.0005, minSpeedup: 1.5",
            "int8-nncf",
            "auc",
            "--again --calibration FILE --evaluation FILE --max-accuracy-loss 0.0005 --min-speedup 1.5, or restore the",
        ),
        (
            "minSpeedup: 1.1",
            "original",
            None,
            "state evaluation in the ModelOptimization and publish the folder again, ",
        ),
    ],
)
def test_the_advice_makes_another_measurement(
    folder: Path, bounds: str, chosen: str, metric: str | None, fix: str
) -> None:
    (folder / "model.yaml").write_text(
        MODELS.replace("enabled: true", f"enabled: true\n    {bounds}".replace(", ", "\n    "))
    )
    measured = [assessment("intel-amx", chosen, {"int8-nncf": 2.0}, metric=metric)]
    sources = Sources(find=in_registry, variants=lambda _: ([variant(), variant("int8-nncf")], measured))
    finding = examine(load([folder], NO_FLAGS, environ={}), sources=sources).findings[0]
    assert "run on intel-amx: scalezero models measure s3://models/payment-model-v1.onnx --again" in finding.fix
    assert fix in finding.fix


def test_an_artifact_of_which_no_variants_are_made_is_reported_with_and_without_the_registry(folder: Path) -> None:
    (folder / "model.yaml").write_text(MODELS.replace("v1.onnx", "v1.ort"))
    sources = Sources(find=in_registry, variants=lambda _: ([variant()], []))
    for each in (Sources(), sources):
        report = examine(load([folder], NO_FLAGS, environ={}), sources=each)
        (finding,) = (each for each in report.findings if each.what.startswith("payment-model-v1: variants"))
        assert finding.code == "optimization-not-measured"
        assert finding.what.endswith("ends with .onnx, and this is s3://models/payment-model-v1.ort")


def test_variants_that_cannot_be_read_are_a_note(folder: Path) -> None:
    def unreadable(uri: str) -> PublishedVariants:
        raise StoreUnreachable(uri, "connection refused")

    found = examine(load([folder], NO_FLAGS, environ={}), sources=Sources(find=in_registry, variants=unreadable))
    assert "optimization-not-measured" not in codes(found)  # that is not known
    assert [note.partition(": its")[0] for note in found.notes] == [
        f"s3://models/payment-model-v{number}.onnx" for number in (1, 2)
    ]


def in_registry(uri: str) -> Published:
    return Published(uri=uri, sha256=SHA256, size=1000)


def test_the_guest_of_the_folder_is_compared_with_the_published_one(folder: Path) -> None:
    uri = "s3://models/guest.wasm"
    (folder / "model.yaml").write_text(MODELS.replace("  maxWaitTime", f"  guest: {{path: {uri}}}\n  maxWaitTime"))
    (folder / "main.wasm").write_bytes(b"built again")
    project = load([folder], Flags(image="dev.local/scalezero:0.1-wasm"), environ={})

    def found(guest: PublishedGuest | None) -> list[Finding]:
        report = examine(project, sources=Sources(guests=lambda _: guest))
        return [each for each in report.findings if each.code.startswith("guest-")]

    (changed,) = found(PublishedGuest(uri, "1" * 64))
    assert changed.code == "guest-changed"
    assert sha256(b"built again").hexdigest() in changed.what
    assert changed.fix.startswith("set guest.path of the InferenceConfig to an unused URI, and declare another")
    assert [each.code for each in found(None)] == ["guest-missing"]
    assert found(PublishedGuest(uri, sha256(b"built again").hexdigest())) == []


def test_a_registry_that_cannot_be_asked_for_the_guest_is_a_note(folder: Path) -> None:
    text = MODELS.replace("  maxWaitTime", "  guest: {path: s3://models/guest.wasm}\n  maxWaitTime")
    (folder / "model.yaml").write_text(text)

    def unreachable(uri: str) -> PublishedGuest | None:
        raise StoreUnreachable(uri, "connection refused")

    found = examine(load([folder], NO_FLAGS, environ={}), sources=Sources(guests=unreachable))
    assert any("cannot query the registry: " in each and "connection refused" in each for each in found.notes)
    assert not any(each.code.startswith("guest-") for each in found.findings)
