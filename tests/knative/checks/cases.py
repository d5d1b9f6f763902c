"""A deployment without findings; for each rule, an edit with a finding and the closest edit without one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import functions.payment_model
from knative.checks.finding import Finding
from knative.checks.reading import finding_of
from knative.checks.rules import findings
from knative.checks.run import subject_of
from knative.checks.subject import Artifact, Facts
from knative.function.configuration import Flags
from knative.function.project import load
from knative.objects import Manifest
from runtime.variants.values import Variant
from tests import ROOT
from tests.knative.published import assessment, variant

MODELS = (
    Path(functions.payment_model.__file__)
    .with_name("model.yaml")
    .read_text("utf-8")
    .replace("enabled: true", "enabled: false")
)
FUNCTION = (ROOT / "func.yaml").read_text("utf-8")
V1 = "s3://models/payment-model-v1.onnx"
MIB = 2**20
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SPLIT = MODELS[MODELS.rindex("---") :]
Edit = tuple[str, str]


def revision(service: str, port: str | None = "h2c") -> Manifest:
    """Return a revision as in a cluster."""
    container: dict[str, Any] = {"name": "model"}
    if port is not None:
        container["ports"] = [{"name": port, "containerPort": 8080}]
    return {
        "metadata": {"labels": {"serving.knative.dev/service": service}},
        "spec": {"containers": [container]},
    }


@dataclass(frozen=True, kw_only=True)
class Case:
    """Edits of the files, with the facts, flags and environment."""

    models: tuple[Edit, ...] = ()
    function: tuple[Edit, ...] | None = ()  # None: no func.yaml
    facts: Facts = field(default_factory=Facts)
    flags: Flags = field(default_factory=Flags)
    handler: bool = False
    source: str = ""  # of main.py
    environ: Mapping[str, str] = field(default_factory=dict)


def check(case: Case, folder: Path) -> list[Finding]:
    """Write the files into the folder and check them."""
    (folder / ".git").mkdir()  # so that folders above are not searched
    (folder / "model.yaml").write_text(_edited(MODELS, case.models), "utf-8")
    if case.function is not None:
        (folder / "func.yaml").write_text(_edited(FUNCTION, case.function), "utf-8")
    if case.handler:
        (folder / "main.py").write_text(case.source)
    project = load([folder], case.flags, environ=case.environ)
    return [*map(finding_of, project.faults), *findings(replace(subject_of(project), facts=case.facts))]


def _edited(text: str, edits: tuple[Edit, ...]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def _variable(name: str, value: str) -> Edit:
    """Add a variable to func.yaml."""
    return ("  volumes:", f'    - name: {name}\n      value: "{value}"\n  volumes:')


def _sized(size: int | None, sha256: str | None = "ab") -> Facts:
    return Facts(artifacts={V1: Artifact(size, sha256)})


def _published(chosen: Variant, *, speedup: float = 3.0) -> Facts:
    """Return a model with one measured variant besides the original, which is chosen if it is faster."""
    name = chosen.name if speedup > 1 else "original"
    measured = assessment("intel-amx", name, {chosen.name: speedup}, loss=0.005)
    return Facts(artifacts={V1: Artifact(1000, "ab", (chosen,), (measured,), is_described=True)})


def _revisions(**found: Manifest) -> Facts:
    return Facts(revisions={name.replace("_", "-"): each for name, each in found.items()})


def _folders(folders: str) -> Edit:
    return ("  maxWaitTime", f"  guest: {{path: s3://models/guest.wasm, folders: {folders}}}\n  maxWaitTime")


def _mounted(volume: str) -> Edit:
    return ("  volumes:", f"  volumes:\n    - {volume}")


def _guest(memory: str) -> Edit:
    return ("  maxWaitTime", f"  guest: {{path: s3://models/guest.wasm, memory: {memory}}}\n  maxWaitTime")


WASM = Flags(image="dev.local/scalezero:0.1-wasm")
ENABLED = ("enabled: false", "enabled: true")
STRICT = ("enabled: false", "enabled: true\n    maxAccuracyLoss: 0.001")
OPENVINO = variant("openvino")
BATCH = ("batchSize: 32", "batchSize: 40")
V3 = ("revisionName: payment-model-v2", "revisionName: payment-model-v3")
EU = MODELS[: MODELS.index("---")].replace("payment-model", "payment-model-eu") + "---\n"
FILE = ("type: s3\n    path: s3://models/payment-model-v2.onnx", "type: file\n    path: {}")
LONG = "payment-model-" + 47 * "2"  # its tag is r-222..., because a tag starts with a letter
NO_SECRET = (
    ("{{ secret:scalezero-s3:AWS_ACCESS_KEY_ID }}", ""),
    ("{{ secret:scalezero-s3:AWS_SECRET_ACCESS_KEY }}", ""),
    ("name: AWS_ACCESS_KEY_ID", "name: A"),
    ("name: AWS_SECRET_ACCESS_KEY", "name: B"),
)
ACCOUNT = ("deploy:", "deploy:\n  serviceAccountName: reader")
CONCURRENCY = "concurrency: 0 #"
BRIEF = ('maxWaitTime: "100ms"', 'maxWaitTime: "0s"')

API = (ROOT / "tests/knative/resources/spec/ml-inference-api.yaml").read_text("utf-8")


def _api(*edits: Edit) -> Edit:
    """Add an APIDefinition to the manifest."""
    return (SPLIT, f"{SPLIT}---\n{_edited(API, edits)}")


def events_edit(events: str) -> Edit:
    """Add events to the InferenceConfig, in flow style."""
    return ('timeout: "1s"', f'timeout: "1s"\n  events: {events}')


def _triggers(trigger: str, more: str = "") -> Case:
    """Return a deployment with one trigger, which has a dead letter sink, and more fields of the events."""
    return Case(
        models=(events_edit(f"{{triggers: [{trigger}], delivery: {{deadLetterSink: {{function: d}}}}{more}}}"),)
    )


CREATED = "{type: com.example.created}"
SUBSCRIBED = ("deploy:", "deploy:\n  subscriptions: [{source: default, filters: {type: com.example.created}}]")


# By code: a case with a finding of the rule, and the closest case without one.
CASES: dict[str, tuple[Case, Case]] = {
    "always-on": (Case(function=(("min: 0", "min: 1"),)), Case()),
    "ambiguous-owner": (
        Case(
            models=(
                ("# The resources", EU + "# The resources"),
                ("name: payment-model-v2", "name: payment-model-eu-v2"),
            )
        ),
        Case(models=(("# The resources", EU + "# The resources"),)),
    ),
    "api-path-not-served": (
        Case(models=(_api(("{model_name}/predict", "{model_name}/forecast")),)),
        Case(models=(_api(("/api/v1/models/{model_name}/predict", "/{model_name}/forecast")),)),
    ),
    "api-schema-not-served": (
        Case(models=(_api(("type: array", "type: string")),)),
        Case(models=(_api(("type: array", "type: object")),)),
    ),
    "artifact-missing": (Case(facts=Facts(artifacts={V1: None})), Case(facts=_sized(1))),
    "artifact-out-of-reach": (
        Case(models=((FILE[0], FILE[1].format("models/v2.onnx")),)),
        Case(models=((FILE[0], FILE[1].format("/models/v2.onnx")),)),
    ),
    "artifact-undigested": (Case(facts=_sized(1, None)), Case(facts=_sized(1))),
    "bad-manifest": (
        Case(models=(("batchSize: 32", "batchSize: 0"),)),
        Case(models=(("batchSize: 32", "batchSize: 1"),)),
    ),
    "broker-missing": (
        replace(_triggers(CREATED), facts=Facts(brokers=("other",))),
        replace(_triggers(CREATED, ", createBroker: true"), facts=Facts(brokers=())),
    ),
    "cache-below-model": (
        Case(facts=_sized(101 * MIB), function=(("sizeLimit: 1Gi", "sizeLimit: 100Mi"),)),
        Case(facts=_sized(100 * MIB), function=(("sizeLimit: 1Gi", "sizeLimit: 100Mi"),)),
    ),
    "concurrency-below-batches": (
        Case(function=((CONCURRENCY, "concurrency: 63 #"),)),
        Case(function=((CONCURRENCY, "concurrency: 64 #"),)),
    ),
    "cpu-below-one": (Case(function=(('cpu: "1"', "cpu: 999m"),)), Case(function=(('cpu: "1"', "cpu: 1000m"),))),
    "dead-letter-loop": (
        _triggers("{type: a, delivery: {deadLetterSink: {broker: default}}}"),
        _triggers("{type: a, delivery: {deadLetterSink: {broker: dead}}}"),
    ),
    "dead-letters-dropped": (
        Case(models=(events_edit(f"{{triggers: [{CREATED}]}}"),)),
        _triggers(CREATED),
    ),
    "declared-twice": (
        Case(models=(("name: payment-model-v2", "name: payment-model-v1"),)),
        Case(models=(("name: payment-model-v2", "name: payment-model-v3"),)),
    ),
    "delivery-timeout-short": (
        _triggers("{type: a, delivery: {timeout: 1s}}"),
        _triggers("{type: a, delivery: {timeout: PT1.1S}}"),
    ),
    "delivery-without-retry": (
        _triggers("{type: a, delivery: {retry: 0}}"),
        _triggers("{type: a, delivery: {retry: 1}}"),
    ),
    "duplicate-variable": (
        Case(function=(_variable("AWS_REGION", "eu-west-1"),)),
        Case(function=(_variable("AWS_REGIONS", "eu-west-1"),)),
    ),
    "event-loop": (_triggers("{type: ml.prediction.v1}"), _triggers("{type: ml.prediction.v2}")),
    "event-target-missing": (
        Case(models=(events_edit("{target: on_event}"),), handler=True, source="def onevents_edit(event): ..."),
        Case(models=(events_edit("{target: on_event}"),), handler=True, source="def on_event(event): ..."),
    ),
    "eventing-missing": (
        replace(_triggers(CREATED), facts=Facts(missing_api="flows.knative.dev/v1")),
        replace(_triggers(CREATED), facts=Facts(brokers=("default",))),
    ),
    "func-yaml-disagrees": (
        Case(models=(BATCH,)),
        Case(models=(BATCH,), function=(('value: "32"', 'value: "40"'), ("target: 64", "target: 80"))),
    ),
    "func-yaml-unused": (
        Case(function=(("liveness: /healthz/live", "liveness: /live"),)),
        Case(function=(("target: 64", "target: 65"), ("deploy:", "deploy:\n  labels: [{key: team}]"))),
    ),
    "function-not-served": (
        Case(handler=True, function=(("FUNCTION_SOURCE", "OTHER"), ("image: dev.local", "domain: dev.local"))),
        Case(handler=True),
    ),
    "grace-below-timeout": (
        Case(function=(_variable("SCALEZERO_GRACE_PERIOD", "999ms"),)),
        Case(function=(_variable("SCALEZERO_GRACE_PERIOD", "1s"),)),
    ),
    "grace-too-long": (
        Case(function=(_variable("SCALEZERO_GRACE_PERIOD", "571s"),)),
        Case(function=(_variable("SCALEZERO_GRACE_PERIOD", "570s"),)),
    ),
    "image-latest": (
        Case(flags=Flags(image="registry.example:5000/scalezero")),
        Case(flags=Flags(image="registry.example:5000/scalezero:0.1")),
    ),
    "guest-folder-not-mounted": (
        Case(models=(_folders("[{path: /etc/labels}]"),), function=(_mounted("{configMap: c, path: /etc/lab}"),)),
        Case(models=(_folders("[{path: /etc/labels}]"),), function=(_mounted("{configMap: c, path: /etc/labels/}"),)),
    ),
    "guest-folder-not-writable": (
        Case(
            models=(_folders("[{path: /a/b, readOnly: false}]"),),
            function=(_mounted("{emptyDir: {}, path: /a}\n    - {secret: s, path: /a/b}"),),
        ),
        Case(
            models=(_folders("[{path: /a/b, readOnly: false}, {path: /tmp/c, readOnly: false}, {path: /d}]"),),
            function=(_mounted("{emptyDir: {}, path: /a}\n    - {secret: s, path: /d}"),),
        ),
    ),
    "guests-above-memory": (
        Case(models=(_guest("56Mi"),), flags=WASM),
        Case(models=(_guest("55Mi"),), flags=WASM),
    ),
    "image-unnamed": (Case(function=None), Case(function=None, flags=Flags(image="dev.local/scalezero:0.1"))),
    "image-unpinned": (
        Case(flags=Flags(image="registry.example:5000/scalezero:0.1")),
        Case(flags=Flags(image=f"registry.example:5000/scalezero@sha256:{64 * 'a'}")),
    ),
    "memory-below-model": (Case(facts=_sized(240 * MIB + 1)), Case(facts=_sized(240 * MIB))),
    "memory-tight": (Case(facts=_sized(167 * MIB)), Case(facts=_sized(166 * MIB))),
    "name-refused": (
        Case(models=(("payment-model-v2\n", f"{LONG}2\n"),)),
        Case(models=(("payment-model-v2\n", f"{LONG}\n"),)),
    ),
    "names-meet": (
        Case(models=(("name: payment-model-ab", "name: payment-model-v2"),)),
        Case(models=(("name: payment-model-ab", "name: payment-model-v3"),)),
    ),
    "not-deployable": (
        Case(models=(BRIEF, ('timeout: "1s"', 'timeout: "999us"')), function=None),
        Case(models=(BRIEF, ('timeout: "1s"', 'timeout: "1ms"')), function=None),
    ),
    "openvino-not-in-image": (
        Case(facts=_published(OPENVINO)),
        Case(facts=_published(OPENVINO), flags=Flags(image="dev.local/scalezero:0.1-openvino")),
    ),
    "optimization-not-int8": (
        Case(models=(ENABLED,), facts=_published(variant("int8-nncf"), speedup=0.9)),
        Case(models=(ENABLED,), facts=_published(variant("int8-nncf"))),
    ),
    "optimization-not-measured": (
        Case(models=(ENABLED,), facts=Facts(artifacts={V1: Artifact(1, "ab", is_described=True)})),
        Case(models=(ENABLED,), facts=_sized(1)),
    ),
    "optimization-outside-bounds": (
        Case(models=(STRICT,), facts=_published(variant("int8-nncf"))),
        Case(models=(ENABLED,), facts=_published(variant("int8-nncf"))),
    ),
    "other-namespace": (
        Case(models=(("  name: payment-model-ab", "  name: payment-model-ab\n  namespace: other"),)),
        Case(models=(("  name: payment-model-ab", "  name: payment-model-ab\n  namespace: default"),)),
    ),
    "port-not-h2c": (
        Case(facts=_revisions(payment_model_v1=revision("payment-model", None))),
        Case(
            facts=_revisions(
                payment_model_v1=revision("payment-model"), payment_model_v0=revision("payment-model", "http1")
            )
        ),
    ),
    "protocol-unknown": (
        Case(function=(_variable("SCALEZERO_PROTOCOLS", "open_inference,smtp"),)),
        Case(function=(_variable("SCALEZERO_PROTOCOLS", "open_inference"),)),
    ),
    "queue-below-target": (
        Case(function=(_variable("SCALEZERO_QUEUE_SIZE", "63"),)),
        Case(function=(_variable("SCALEZERO_QUEUE_SIZE", "64"),)),
    ),
    "registry-elsewhere": (
        Case(environ={"AWS_ENDPOINT_URL": "http://s3:8333"}, facts=Facts(secrets={"scalezero-s3": KEYS})),
        Case(
            environ={"AWS_ENDPOINT_URL": "http://s3:8333"},
            facts=Facts(secrets={"scalezero-s3": (*KEYS, "AWS_ENDPOINT_URL")}),
        ),
    ),
    "registry-keys-unused": (
        Case(function=NO_SECRET, facts=Facts(secrets={"scalezero-s3": KEYS})),
        Case(function=NO_SECRET, facts=Facts(secrets={"scalezero-s3": None})),
    ),
    "registry-on-loopback": (
        Case(function=(_variable("AWS_ENDPOINT_URL", "http://127.0.0.1:8333"),)),
        Case(function=(_variable("AWS_ENDPOINT_URL", "http://127.example:8333"),)),
    ),
    "registry-without-keys": (Case(function=NO_SECRET), Case(function=(*NO_SECRET, ACCOUNT))),
    "revision-owned-twice": (
        Case(
            models=(
                ("name: payment-model-ab", "name: payment-model"),
                V3,
                ("revisionName: payment-model-v3", "revisionName: other-v3"),
            )
        ),
        Case(models=(("name: payment-model-ab", "name: payment-model"), V3)),
    ),
    "revision-taken": (
        Case(facts=_revisions(payment_model_v1=revision("payment"))),
        Case(facts=_revisions(payment_model_v1=revision("payment-model"))),
    ),
    "scale-bounds": (Case(function=(("min: 0", "min: 11"),)), Case(function=(("min: 0", "min: 10"),))),
    "secret-lacks-key": (
        Case(facts=Facts(secrets={"scalezero-s3": KEYS[:1]})),
        Case(facts=Facts(secrets={"scalezero-s3": KEYS})),
    ),
    "secret-missing": (
        Case(facts=Facts(secrets={"scalezero-s3": None})),
        Case(facts=Facts(secrets={"scalezero-s3": KEYS})),
    ),
    "sequence-step-missing": (
        Case(models=(events_edit("{sequence: {steps: [payment-model, b]}}"),), facts=Facts(services=("a",))),
        Case(models=(events_edit("{sequence: {steps: [payment-model, a]}}"),), facts=Facts(services=("a",))),
    ),
    "service-account-missing": (
        Case(function=(ACCOUNT,), facts=Facts(service_accounts=())),
        Case(function=(ACCOUNT,), facts=Facts(service_accounts=("reader",))),
    ),
    "split-not-whole": (
        Case(models=(("v2\n      percent: 50", "v2\n      percent: 49"),)),
        Case(models=(("v2\n      percent: 50", "v2\n      percent: 50 # half"),)),
    ),
    "split-of-companion": (
        Case(
            models=(
                ("# The resources", EU + "# The resources"),
                ("revisionName: payment-model-v2", "revisionName: payment-model-eu-v1"),
            ),
            handler=True,
        ),
        Case(models=(("# The resources", EU + "# The resources"),), handler=True),
    ),
    "split-revision-missing": (
        Case(models=(V3,), facts=_revisions()),
        Case(models=(V3,), facts=_revisions(payment_model_v3=revision("payment-model"))),
    ),
    "split-revision-undeclared": (Case(models=(V3,)), Case(models=(V3,), facts=_revisions())),
    "timeout-cut": (
        Case(models=(('timeout: "1s"', 'timeout: "241s"'),), function=(("value: 1s", "value: 241s"),)),
        Case(models=(('timeout: "1s"', 'timeout: "240s"'),), function=(("value: 1s", "value: 240s"),)),
    ),
    "two-splits": (
        Case(models=((SPLIT, SPLIT + SPLIT.replace("-ab", "-ba")),)),
        Case(models=((SPLIT, SPLIT + SPLIT.replace("-ab", "-ba").replace("model-v2", "other-v2")),)),
    ),
    "unbounded-scale": (Case(function=(("max: 10", "max: 0"),)), Case(function=(("max: 10", "max: 1"),))),
    "unknown-model": (
        Case(models=(("name: payment-model-config", "name: tipo-config"),)),
        Case(models=(("name: payment-model-config\nspec:", "name: tipo-config\nspec:\n  modelName: payment-model"),)),
    ),
    "version-without-traffic": (Case(models=((SPLIT, ""),)), Case()),
    "wait-not-below-timeout": (
        Case(models=(('maxWaitTime: "100ms"', 'maxWaitTime: "1s"'),)),
        Case(models=(('maxWaitTime: "100ms"', 'maxWaitTime: "999ms"'),), function=(("value: 100ms", "value: 999ms"),)),
    ),
    "wasmtime-not-in-image": (
        Case(models=(_guest("1Mi"),), flags=Flags(image="dev.local/scalezero:0.1")),
        Case(models=(_guest("1Mi"),), flags=WASM),
    ),
}
