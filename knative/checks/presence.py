"""Whether the cluster has what the deployment counts on, and holds nothing against it."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, error, warning
from knative.checks.subject import Subject
from knative.manifests import names
from knative.objects import SERVICE_LABEL, Manifest
from knative.resources.links import owner

PORT_NOT_H2C: Final = warning(
    "port-not-h2c",
    "The name of the port selects the protocol to the pod: http1 breaks gRPC, h2c carries HTTP/1.1 and gRPC.",
)
REVISION_TAKEN: Final = error(
    "revision-taken", "A revision name is unique in its namespace, and a revision belongs to one Service."
)
SECRET_LACKS_KEY: Final = error("secret-lacks-key", "A pod does not start without a key that it refers to.")
SECRET_MISSING: Final = error("secret-missing", "A pod does not start without a Secret that it refers to.")
SERVICE_ACCOUNT_MISSING: Final = error(
    "service-account-missing", "Kubernetes makes no pod for a ServiceAccount that does not exist."
)

RULES: Final = (PORT_NOT_H2C, REVISION_TAKEN, SECRET_LACKS_KEY, SECRET_MISSING, SERVICE_ACCOUNT_MISSING)

KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def check(subject: Subject) -> Iterator[Finding]:
    """Compare with what was looked up; without that there is nothing to say."""
    yield from _secret(subject)
    yield from _service_account(subject)
    yield from _taken(subject)
    yield from _ports(subject)


def _secret(subject: Subject) -> Iterator[Finding]:
    name, known = subject.options.s3.secret, subject.facts.secrets
    if name is None or known is None or name not in known:
        return
    where, keys = subject.place_unless(subject.flags.s3_secret, subject.place_of_variable(KEYS[0])), known[name]
    space = subject.options.namespace
    if keys is None:
        fix = f"kubectl -n {space} create secret generic {name} --from-literal=..., with {' and '.join(KEYS)}"
        yield SECRET_MISSING.found(f"there is no Secret {name} in the namespace {space}", fix=fix, where=where)
    elif lacking := [each for each in KEYS if each not in keys]:
        what = f"the Secret {name} has no {' and no '.join(lacking)}"
        yield SECRET_LACKS_KEY.found(what, fix="add what is missing to the Secret", where=where)


def _service_account(subject: Subject) -> Iterator[Finding]:
    name, there = subject.options.service_account, subject.facts.service_accounts
    if name is not None and there is not None and name not in there:
        what = f"there is no ServiceAccount {name} in the namespace {subject.options.namespace}"
        said = subject.place_in_function("deploy", "serviceAccountName")
        where = subject.place_unless(subject.flags.service_account, said)
        yield SERVICE_ACCOUNT_MISSING.found(what, fix="make it, or name none and one is made", where=where)


def _taken(subject: Subject) -> Iterator[Finding]:
    for version in subject.resources.model_versions:
        found = (subject.facts.revisions or {}).get(version.metadata.name)
        if found is None:
            continue
        holder = found["metadata"].get("labels", {}).get(SERVICE_LABEL)
        if holder != version.spec.model_name:
            what = f"the cluster has a revision {version.metadata.name} of {holder or 'no Service'}"
            where = subject.place(version, "metadata", "name")
            yield REVISION_TAKEN.found(what, fix="another name for the ModelVersion", where=where)


def _ports(subject: Subject) -> Iterator[Finding]:
    """Look at the revisions that share traffic with ours and were made by somebody else."""
    for name, revision in sorted((subject.facts.revisions or {}).items()):
        if owner(name, subject.resources.models) is None or not _shares(subject, name):
            continue
        port = _port(revision)
        if port != names.PORT_NAME:
            what = f"the revision {name} has a port named {port or 'nothing, which means http1'}"
            yield PORT_NOT_H2C.found(what, fix="deploy it as a ModelVersion under another name, or give it no traffic")


def _shares(subject: Subject, revision: str) -> bool:
    targets = (target for split in subject.resources.ab_services for target in split.spec.traffic)
    declared = any(each.metadata.name == revision for each in subject.resources.model_versions)
    return declared or any(target.revision_name == revision and target.percent for target in targets)


def _port(revision: Manifest) -> str:
    ports = [port for each in revision["spec"]["containers"] for port in each.get("ports", ())]
    return str(ports[0].get("name", "")) if ports else ""
