"""What Knative's admission refuses, as far as our manifests could offend: from its rules, not from our code.

It gives every offence as a sentence; none is the empty list.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PORT_NAMES = {"", "http1", "h2c"}
RESERVED_PORTS = {8008, 8012, 8013, 8022, 9090, 9091}
RESERVED_ENV = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
LONGEST_TIMEOUT = 600
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


def offences(manifest: Mapping[str, Any]) -> list[str]:
    """List everything in a manifest that would be refused."""
    return list(_offences(manifest))


def _offences(manifest: Mapping[str, Any]) -> Iterator[str]:
    if json.loads(json.dumps(manifest)) != manifest:
        yield "it is no JSON"
    yield from _metadata(manifest["metadata"])
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Service":
        yield from _template(manifest["metadata"]["name"], spec["template"])
    if manifest["kind"] in {"Service", "Route"}:
        yield from _traffic(manifest["metadata"]["name"], spec["traffic"])


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
        if not 0 < spec[field] <= LONGEST_TIMEOUT:
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
    least, most = int(annotations[f"{prefix}min-scale"]), int(annotations[f"{prefix}max-scale"])
    if least < 0 or most < 0 or (most and most < least):
        yield f"scale {least} {most}"
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
    if any(set(each) != {"name", "emptyDir"} for each in volumes):
        yield f"volumes {volumes}"


def _environment(env: list[Mapping[str, Any]]) -> Iterator[str]:
    for each in env:
        if each["name"] in RESERVED_ENV or not ENV_NAME.fullmatch(each["name"]):
            yield f"variable {each['name']}"
        if not isinstance(each.get("value", ""), str) or ("value" in each) == ("valueFrom" in each):
            yield f"value of {each['name']}"
