"""Rules that pods can pull their models, and that these are the published ones."""

from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from knative.checks.finding import Finding, advice, error, problem, warning
from knative.checks.subject import Served, Subject
from knative.manifests.environment import settings_of
from knative.manifests.names import REGISTRY_SECRET
from runtime.errors import BadSetting

ARTIFACT_MISSING: Final = warning("artifact-missing", "A revision without its model never becomes Ready.")
ARTIFACT_OUT_OF_REACH: Final = error(
    "artifact-out-of-reach", "A pod can read only files of its image and objects of the registry."
)
ARTIFACT_UNDIGESTED: Final = warning(
    "artifact-undigested", "Without a digest, a pod cannot verify that the file is the published model."
)
REGISTRY_ELSEWHERE: Final = error(
    "registry-elsewhere", "Pods would pull the model from AWS instead of the registry that it is published to."
)
REGISTRY_KEYS_UNUSED: Final = warning(
    "registry-keys-unused",
    "The namespace has a Secret for the registry, but pods use it only if func.yaml or a flag names it.",
)
REGISTRY_ON_LOOPBACK: Final = error("registry-on-loopback", "In a pod this address is the pod itself.")
REGISTRY_WITHOUT_KEYS: Final = advice(
    "registry-without-keys", "Without a Secret, pods can use only the credentials of their node or ServiceAccount."
)

RULES: Final = (
    ARTIFACT_MISSING,
    ARTIFACT_OUT_OF_REACH,
    ARTIFACT_UNDIGESTED,
    REGISTRY_ELSEWHERE,
    REGISTRY_KEYS_UNUSED,
    REGISTRY_ON_LOOPBACK,
    REGISTRY_WITHOUT_KEYS,
)


def check(subject: Subject) -> Iterator[Finding]:
    """Check the artifact of each version and the access to it. Versions with other code or settings may share one."""
    yield from _out_of_reach(subject)
    for served in subject.served():
        yield from _published(subject, served, str(served.settings.model_uri))
    yield from _registry(subject)


def _out_of_reach(subject: Subject) -> Iterator[Finding]:
    for version in (*subject.resources.revisions, *subject.resources.companions):
        try:
            settings_of(version, None, subject.options)
        except BadSetting as fault:
            where = subject.place(version, "spec", "storage", "path")
            yield ARTIFACT_OUT_OF_REACH.finding(problem(fault), fix=f"use {fault.details['allowed']}", where=where)


def _published(subject: Subject, served: Served, uri: str) -> Iterator[Finding]:
    if uri not in subject.facts.artifacts:
        return
    where = subject.place(served.version, "spec", "storage", "path")
    artifact = subject.facts.artifacts[uri]
    if artifact is None:
        what = f"{served.version.metadata.name}: {uri} does not exist"
        train = "run scalezero publish with the folder, or deploy, which also publishes it"
        fix = train if subject.has_trainer(served.version) else f"run scalezero publish FILE {uri}"
        yield ARTIFACT_MISSING.finding(what, fix=fix, where=where)
    elif artifact.sha256 is None:
        what = f"{served.version.metadata.name}: {uri} has no recorded digest"
        fix = "run scalezero publish FILE with an unused URI, and use that URI as the path"  # publish never overwrites
        yield ARTIFACT_UNDIGESTED.finding(what, fix=fix, where=where)


def _registry(subject: Subject) -> Iterator[Finding]:
    s3 = subject.options.s3
    if s3.endpoint_url is not None and _is_loopback(urlsplit(s3.endpoint_url).hostname or ""):
        where = subject.place_unless(subject.flags.s3_endpoint, subject.place_of_variable("AWS_ENDPOINT_URL"))
        what = f"the address of the registry is {s3.endpoint_url}"
        yield REGISTRY_ON_LOOPBACK.finding(what, fix="use an address that pods can reach", where=where)
    yield from _elsewhere(subject)
    if not subject.has_no_credentials():
        return
    if (subject.facts.secrets or {}).get(REGISTRY_SECRET) is not None:
        what = f"pods do not use the Secret {REGISTRY_SECRET} of the namespace {subject.options.namespace}"
        fix = f"use --s3-secret {REGISTRY_SECRET}, or AWS_ACCESS_KEY_ID from this Secret in func.yaml"
        yield REGISTRY_KEYS_UNUSED.finding(what, fix=fix)
    else:
        fix = "use --s3-secret NAME, or AWS_ACCESS_KEY_ID from a Secret in func.yaml"
        yield REGISTRY_WITHOUT_KEYS.finding("no Secret is configured for the registry", fix=fix)


def _elsewhere(subject: Subject) -> Iterator[Finding]:
    """Compare the registry that this environment publishes to with the one that pods pull from."""
    s3, endpoint = subject.options.s3, subject.publishing_endpoint
    if endpoint is None or s3.endpoint_url is not None or not subject.uses_s3():
        return
    secrets = subject.facts.secrets
    if s3.secret is not None and (secrets is None or "AWS_ENDPOINT_URL" in (secrets.get(s3.secret) or ())):
        return  # the Secret has the address, or it was not queried
    source = f"the Secret {s3.secret} has no AWS_ENDPOINT_URL" if s3.secret else "pods have no AWS_ENDPOINT_URL"
    what = f"models are published to {endpoint}, but {source}"
    fix = "set --s3-endpoint, or AWS_ENDPOINT_URL in func.yaml or in the Secret, to an address that pods can reach"
    yield REGISTRY_ELSEWHERE.finding(what, fix=fix)


def _is_loopback(host: str) -> bool:
    """Return whether a host name or address means the local host."""
    with suppress(ValueError):
        address = ip_address(host)
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")
