"""The rules of Knative's admission that a manifest of scalezero could violate, taken from Knative, not from our code.

Those of Eventing are in its pkg/apis: eventing/v1, flows/v1, sources/v1 and duck/v1.

Each violation is a short text. A valid manifest has none.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PORT_NAMES = {"", "http1", "h2c"}
RESERVED_PORTS = {8008, 8012, 8013, 8022, 9090, 9091}
RESERVED_ENV = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
MAX_TIMEOUT = 600
VOLUMES = ({"emptyDir"}, {"secret"}, {"configMap"})  # that need no feature of Knative
TEMPLATE_FIELDS = {
    "automountServiceAccountToken",
    "containerConcurrency",
    "containers",
    "enableServiceLinks",
    "imagePullSecrets",
    "responseStartTimeoutSeconds",
    "serviceAccountName",
    "timeoutSeconds",
    "volumes",
}
SECURITY_FIELDS = {
    "allowPrivilegeEscalation",
    "capabilities",
    "readOnlyRootFilesystem",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
}


def violations(manifest: Mapping[str, Any]) -> list[str]:
    """List everything in a manifest that Knative would refuse."""
    return list(_violations(manifest))


def _violations(manifest: Mapping[str, Any]) -> Iterator[str]:
    if json.loads(json.dumps(manifest)) != manifest:
        yield "not JSON"
    yield from _metadata(manifest["metadata"])
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Service":
        yield from _template(manifest["metadata"]["name"], spec["template"])
    if manifest["kind"] in {"Service", "Route"}:
        yield from _traffic(manifest["metadata"]["name"], spec["traffic"])
    if manifest["kind"] in EVENTING:
        yield from EVENTING[manifest["kind"]](spec)


def _metadata(metadata: Mapping[str, Any]) -> Iterator[str]:
    if not DNS_1035.fullmatch(metadata["name"]):
        yield f"name {metadata['name']}"
    for name, value in metadata.get("labels", {}).items():
        if not LABEL_VALUE.fullmatch(value):
            yield f"label {name}: {value}"


def _traffic(route: str, traffic: list[Mapping[str, Any]]) -> Iterator[str]:
    percents = [each["percent"] for each in traffic]
    if sum(percents) != 100 or not all(0 <= each <= 100 for each in percents):
        yield f"percents {percents}"
    tags = [each["tag"] for each in traffic if "tag" in each]
    if len(set(tags)) < len(tags):
        yield f"tags {tags}"
    for tag in tags:
        if not DNS_1035.fullmatch(tag) or len(f"{tag}-{route}") > 63:
            yield f"tag {tag}"
    for each in traffic:
        if "configurationName" in each or "revisionName" not in each:
            yield f"target {each}"


def _template(service: str, template: Mapping[str, Any]) -> Iterator[str]:
    yield from _metadata(template["metadata"])
    if not template["metadata"]["name"].startswith(f"{service}-"):
        yield f"revision {template['metadata']['name']} of {service}"
    yield from _autoscaling(template["metadata"]["annotations"])
    spec = template["spec"]
    if unknown := set(spec) - TEMPLATE_FIELDS:
        yield f"fields {unknown}"
    for field in ("timeoutSeconds", "responseStartTimeoutSeconds"):
        if not 0 < spec[field] <= MAX_TIMEOUT:
            yield f"{field} {spec[field]}"
    if not 0 <= spec["containerConcurrency"] <= 1000:
        yield f"containerConcurrency {spec['containerConcurrency']}"
    if spec.get("automountServiceAccountToken"):
        yield "a mounted token"
    if len(spec["containers"]) != 1:
        yield "several containers"
    yield from _container(spec["containers"][0], spec["volumes"])


def _autoscaling(annotations: Mapping[str, str]) -> Iterator[str]:
    if not all(isinstance(each, str) for each in annotations.values()):
        yield f"annotations {annotations}"
    prefix = "autoscaling.knative.dev/"
    min_scale, max_scale = int(annotations[f"{prefix}min-scale"]), int(annotations[f"{prefix}max-scale"])
    if min_scale < 0 or max_scale < 0 or (max_scale and max_scale < min_scale):
        yield f"scale {min_scale} {max_scale}"
    if annotations[f"{prefix}metric"] not in {"concurrency", "rps"}:
        yield f"metric {annotations[f'{prefix}metric']}"
    if float(annotations[f"{prefix}target"]) < 0.01:
        yield f"target {annotations[f'{prefix}target']}"
    if not 1 <= float(annotations[f"{prefix}target-utilization-percentage"]) <= 100:
        yield "utilization"
    if not re.fullmatch(r"[1-9]\d*s", annotations["serving.knative.dev/progress-deadline"]):
        yield "progress deadline"


def _container(container: Mapping[str, Any], volumes: list[Mapping[str, Any]]) -> Iterator[str]:
    ports = container["ports"]
    if len(ports) != 1 or ports[0]["name"] not in PORT_NAMES or ports[0]["containerPort"] in RESERVED_PORTS:
        yield f"ports {ports}"
    yield from _environment(container["env"])
    for probe in ("readinessProbe", "livenessProbe"):
        if container[probe]["httpGet"].get("port", ports[0]["containerPort"]) != ports[0]["containerPort"]:
            yield f"{probe} on another port"
    if unknown := set(container["securityContext"]) - SECURITY_FIELDS:
        yield f"security {unknown}"
    mounted = {each["name"] for each in container["volumeMounts"]}
    if mounted != {each["name"] for each in volumes}:
        yield f"mounts {mounted}"
    sources = {each["name"]: set(each) - {"name"} for each in volumes}
    if len(sources) != len(volumes) or not all(each in VOLUMES for each in sources.values()):
        yield f"volumes {volumes}"
    for each in container["volumeMounts"]:
        if not each.get("readOnly") and sources.get(each["name"]) != {"emptyDir"}:
            yield f"a writable mount {each}"
    paths = [each["mountPath"] for each in container["volumeMounts"]]
    if len(set(paths)) != len(paths) or {"/", "/dev", "/dev/log", "/var", "/var/log"} & {*paths}:
        yield f"mount paths {paths}"


def _environment(env: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in env:
        if each["name"] in RESERVED_ENV or not ENV_NAME.fullmatch(each["name"]):
            yield f"variable {each['name']}"
        if not isinstance(each.get("value", ""), str) or ("value" in each) == ("valueFrom" in each):
            yield f"value of {each['name']}"


def _trigger(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec.get("broker"):
        yield "no broker"
    if "filter" in spec and "filters" in spec:
        yield "filter is ignored"
    yield from _attributes(spec.get("filter", {}).get("attributes", {}))
    for each in spec.get("filters", ()):
        yield from _filter(each)
    yield from _destination(spec["subscriber"])
    yield from _delivery(spec.get("delivery", {}))


def _filter(spec: Mapping[str, Any]) -> Iterator[str]:
    if len(spec) != 1 or not spec.keys() <= {"exact", "prefix", "suffix", "all", "any", "not", "cesql"}:
        yield f"dialects {spec.keys()}"
    for dialect in ("exact", "prefix", "suffix"):
        yield from _attributes(spec.get(dialect, {}))
    for each in (*spec.get("all", ()), *spec.get("any", ()), *([spec["not"]] if "not" in spec else [])):
        yield from _filter(each)


def _attributes(attributes: Mapping[str, str]) -> Iterator[str]:
    yield from (f"attribute {each}" for each in attributes if not re.fullmatch("[a-z][a-z0-9]*", each))


def _destination(spec: Mapping[str, Any]) -> Iterator[str]:
    if ("ref" in spec) == ("uri" in spec):
        yield f"destination {spec}"
    if "ref" in spec and not (spec["ref"].keys() == {"apiVersion", "kind", "name"} and all(spec["ref"].values())):
        yield f"reference {spec['ref']}"


def _delivery(spec: Mapping[str, Any]) -> Iterator[str]:
    """Knative's parser of periods keeps one decimal, and a component is at most 3276.7."""
    if spec and "retry" not in spec:
        yield "a delivery without retries"
    if not 0 <= spec.get("retry", 0) < 2**31:
        yield f"retry {spec['retry']}"
    if spec.get("backoffPolicy", "linear") not in {"exponential", "linear"}:
        yield f"policy {spec['backoffPolicy']}"
    if spec.get("format", "json") not in {"binary", "json"}:
        yield f"format {spec['format']}"
    for name in ("backoffDelay", "timeout", "retryAfterMax"):
        if name in spec and not re.fullmatch(r"PT(?=\d)(\d{1,2}H)?(\d{1,2}M)?(\d{1,2}(\.\d)?S)?", spec[name]):
            yield f"{name} {spec[name]}"
    if spec.get("timeout") == "PT0S":
        yield "timeout 0"
    if "deadLetterSink" in spec:
        yield from _destination(spec["deadLetterSink"])


def _sequence(spec: Mapping[str, Any]) -> Iterator[str]:
    if not spec["steps"]:
        yield "no steps"
    for each in spec["steps"]:
        yield from _destination({name: value for name, value in each.items() if name != "delivery"})
        yield from _delivery(each["delivery"])
    if "reply" in spec:
        yield from _destination(spec["reply"])


def _binding(spec: Mapping[str, Any]) -> Iterator[str]:
    if spec["subject"].keys() != {"apiVersion", "kind", "name"}:
        yield f"subject {spec['subject']}"
    yield from _destination(spec["sink"])


EVENTING: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "Sequence": _sequence,
    "SinkBinding": _binding,
    "Trigger": _trigger,
}
