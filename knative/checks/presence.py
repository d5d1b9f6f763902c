"""Rules that the cluster has the objects that the deployment needs, and none that conflict with it."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error, warning
from knative.checks.subject import Subject
from knative.manifests import names
from knative.objects import SERVICE_LABEL, Manifest
from knative.resources.links import model_of_name

PORT_NOT_H2C: Final = warning(
    "port-not-h2c",
    "The name of the port selects the protocol to the pod: http1 breaks gRPC, h2c supports HTTP/1.1 and gRPC.",
)
REVISION_TAKEN: Final = error(
    "revision-taken", "The name of a revision is unique in its namespace, and a revision belongs to one Service."
)
SECRET_LACKS_KEY: Final = error("secret-lacks-key", "A pod does not start if a key that it refers to is missing.")
SECRET_MISSING: Final = error("secret-missing", "A pod does not start if a Secret that it refers to is missing.")
SERVICE_ACCOUNT_MISSING: Final = error(
    "service-account-missing", "Kubernetes creates no pods for a ServiceAccount that does not exist."
)

RULES: Final = (PORT_NOT_H2C, REVISION_TAKEN, SECRET_LACKS_KEY, SECRET_MISSING, SERVICE_ACCOUNT_MISSING)


def check(subject: Subject) -> Iterator[Finding]:
    """Compare with the facts of the cluster; without facts there are no findings."""
    yield from _secret(subject)
    yield from _service_account(subject)
    yield from _taken(subject)
    yield from _ports(subject)


def _secret(subject: Subject) -> Iterator[Finding]:
    name, known = subject.options.s3.secret, subject.facts.secrets
    if name is None or known is None or name not in known:
        return
    where, keys = (
        subject.place_unless(subject.flags.s3_secret, subject.place_of_variable(names.REGISTRY_KEYS[0])),
        known[name],
    )
    namespace = subject.options.namespace
    if keys is None:
        values = " ".join(f"--from-literal={key}=..." for key in names.REGISTRY_KEYS)
        fix = f"run kubectl -n {namespace} create secret generic {name} {values}"
        yield SECRET_MISSING.finding(f"the namespace {namespace} has no Secret {name}", fix=fix, where=where)
    elif missing := [each for each in names.REGISTRY_KEYS if each not in keys]:
        what = f"the Secret {name} has no {' and no '.join(missing)}"
        yield SECRET_LACKS_KEY.finding(what, fix=f"add {' and '.join(missing)} to the Secret", where=where)


def _service_account(subject: Subject) -> Iterator[Finding]:
    name, existing = subject.options.service_account, subject.facts.service_accounts
    if name is not None and existing is not None and name not in existing:
        what = f"the namespace {subject.options.namespace} has no ServiceAccount {name}"
        field = subject.place_in_function("deploy", "serviceAccountName")
        where = subject.place_unless(subject.flags.service_account, field)
        fix = "create it, or set no serviceAccountName: deploy then creates one"
        yield SERVICE_ACCOUNT_MISSING.finding(what, fix=fix, where=where)


def _taken(subject: Subject) -> Iterator[Finding]:
    for version in subject.resources.revisions:
        found = (subject.facts.revisions or {}).get(version.metadata.name)
        if found is None:
            continue
        service = found["metadata"].get("labels", {}).get(SERVICE_LABEL)
        if service != version.spec.model_name:
            what = f"the cluster has a revision {version.metadata.name} that belongs to {service or 'no Service'}"
            where = subject.place(version, "metadata", "name")
            yield REVISION_TAKEN.finding(what, fix="use another name for the ModelVersion", where=where)


def _ports(subject: Subject) -> Iterator[Finding]:
    """Check the ports of existing revisions that the resources declare or give traffic to."""
    for name, revision in sorted((subject.facts.revisions or {}).items()):
        if model_of_name(name, subject.resources.models) is None or not _shares(subject, name):
            continue
        port = _port(revision)
        if port != names.PORT_NAME:
            problem = f"a port named {port}" if port else "a port without a name, which means http1"
            fix = "deploy it as a ModelVersion with another name, or give it no traffic"
            yield PORT_NOT_H2C.finding(f"the revision {name} has {problem}", fix=fix)


def _shares(subject: Subject, revision: str) -> bool:
    targets = (target for split in subject.resources.ab_services for target in split.spec.traffic)
    declared = any(each.metadata.name == revision for each in subject.resources.model_versions)
    return declared or any(target.revision_name == revision and target.percent for target in targets)


def _port(revision: Manifest) -> str:
    ports = [port for each in revision["spec"]["containers"] for port in each.get("ports", ())]
    return str(ports[0].get("name", "")) if ports else ""
