"""Whether pods can get their models, and whether they are the right ones."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from knative.checks.finding import Finding, advice, came, error, warning
from knative.checks.subject import Served, Subject
from knative.manifests.environment import settings_of
from knative.manifests.names import REGISTRY_SECRET
from runtime.errors import BadSetting

ARTIFACT_MISSING: Final = warning("artifact-missing", "A revision without its model never becomes Ready.")
ARTIFACT_OUT_OF_REACH: Final = error(
    "artifact-out-of-reach", "A pod can read its image and the registry, no other files."
)
ARTIFACT_UNDIGESTED: Final = warning(
    "artifact-undigested", "Nothing proves that the file is the published model: a pod loads whatever it pulls."
)
OPTIMIZATION_WAITS: Final = advice(
    "optimization-waits", "Quantized variants are not built yet, so the float model serves."
)
REGISTRY_ELSEWHERE: Final = error(
    "registry-elsewhere", "Pods would look for the model at AWS, and not where it is published."
)
REGISTRY_KEYS_UNUSED: Final = warning(
    "registry-keys-unused",
    "The namespace has the registry's keys, but pods get them only where func.yaml or a flag names the Secret.",
)
REGISTRY_ON_LOOPBACK: Final = error("registry-on-loopback", "In a pod this address is the pod itself.")
REGISTRY_WITHOUT_KEYS: Final = advice(
    "registry-without-keys", "Pods then reach S3 only with the credentials of their node or ServiceAccount."
)

RULES: Final = (
    ARTIFACT_MISSING,
    ARTIFACT_OUT_OF_REACH,
    ARTIFACT_UNDIGESTED,
    OPTIMIZATION_WAITS,
    REGISTRY_ELSEWHERE,
    REGISTRY_KEYS_UNUSED,
    REGISTRY_ON_LOOPBACK,
    REGISTRY_WITHOUT_KEYS,
)


def check(subject: Subject) -> Iterator[Finding]:
    """Check each version's artifact, and the access to it. Versions may share one: they differ in code or settings."""
    yield from _out_of_reach(subject)
    for served in subject.served():
        yield from _published(subject, served, str(served.settings.model_uri))
    yield from _registry(subject)
    yield from _optimizations(subject)


def _out_of_reach(subject: Subject) -> Iterator[Finding]:
    for version in subject.resources.model_versions:
        try:
            settings_of(version, None, subject.options)
        except BadSetting as fault:
            where = subject.place(version, "spec", "storage", "path")
            yield ARTIFACT_OUT_OF_REACH.found(came(fault), fix=f"use {fault.details['allowed']}", where=where)


def _published(subject: Subject, served: Served, uri: str) -> Iterator[Finding]:
    if uri not in subject.facts.artifacts:
        return
    where = subject.place(served.version, "spec", "storage", "path")
    artifact = subject.facts.artifacts[uri]
    if artifact is None:
        what = f"{served.version.metadata.name}: there is nothing at {uri}"
        trained = "scalezero publish with the folder, which deploy does by itself"
        fix = trained if subject.is_trained(served.version) else f"scalezero publish FILE {uri}"
        yield ARTIFACT_MISSING.found(what, fix=fix, where=where)
    elif artifact.sha256 is None:
        what = f"{served.version.metadata.name}: nobody recorded a digest of {uri}"
        fix = "scalezero publish FILE under a URI that is free, and that one as the path"  # it overwrites nothing
        yield ARTIFACT_UNDIGESTED.found(what, fix=fix, where=where)


def _registry(subject: Subject) -> Iterator[Finding]:
    s3 = subject.options.s3
    if s3.endpoint_url is not None and _is_here(urlsplit(s3.endpoint_url).hostname or ""):
        where = subject.place_unless(subject.flags.s3_endpoint, subject.place_of_variable("AWS_ENDPOINT_URL"))
        what = f"the registry is said to be at {s3.endpoint_url}"
        yield REGISTRY_ON_LOOPBACK.found(what, fix="its address as pods see it", where=where)
    yield from _elsewhere(subject)
    if not subject.lacks_keys():
        return
    if (subject.facts.secrets or {}).get(REGISTRY_SECRET) is not None:
        what = f"the Secret {REGISTRY_SECRET} is in the namespace {subject.options.namespace}, and nothing names it"
        fix = f"--s3-secret {REGISTRY_SECRET}, or AWS_ACCESS_KEY_ID from it in func.yaml"
        yield REGISTRY_KEYS_UNUSED.found(what, fix=fix)
    else:
        fix = "--s3-secret NAME, or AWS_ACCESS_KEY_ID from a Secret in func.yaml"
        yield REGISTRY_WITHOUT_KEYS.found("no Secret is named for the registry", fix=fix)


def _elsewhere(subject: Subject) -> Iterator[Finding]:
    """Compare the address that is published to, from this environment, with the one that pods get."""
    s3, here = subject.options.s3, subject.publishing_endpoint
    if here is None or s3.endpoint_url is not None or not subject.pulls():
        return
    secrets = subject.facts.secrets
    if s3.secret is not None and (secrets is None or "AWS_ENDPOINT_URL" in (secrets.get(s3.secret) or ())):
        return  # it is in the Secret, or nobody has looked there
    source = f"the Secret {s3.secret} has no AWS_ENDPOINT_URL" if s3.secret else "pods have no AWS_ENDPOINT_URL"
    what = f"models are published to {here}, and {source}"
    fix = "--s3-endpoint with the registry's address as pods see it, or AWS_ENDPOINT_URL in func.yaml or in the Secret"
    yield REGISTRY_ELSEWHERE.found(what, fix=fix)


def _is_here(host: str) -> bool:
    """Tell whether a host is the one that asks."""
    with suppress(ValueError):
        address = ip_address(host)
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _optimizations(subject: Subject) -> Iterator[Finding]:
    for each in subject.resources.model_optimizations:
        if each.spec.quantization.enabled:
            where = subject.place(each, "spec", "quantization", "enabled")
            what = f"{each.metadata.name} asks for {each.spec.quantization.precision}"
            yield OPTIMIZATION_WAITS.found(what, fix="nothing; it is kept for when there is one", where=where)
