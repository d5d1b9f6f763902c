"""A namespace of the real cluster, with the commands that a person would use there."""

import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from knative.api.client import Cluster
from knative.objects import REVISION_LABEL, Ref
from tests.s3_server import S3Server

T = TypeVar("T")
SECRET = "scalezero-s3"  # noqa: S105 - its name; in the namespace `default` of the cluster
SCALEZERO = Path(sys.executable).with_name("scalezero")
LONGEST = 150.0  # seconds that a command may take
KEYS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


class Refused(Exception):
    """A command ended with another exit code than it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """Runs commands in a namespace, and reads its objects."""

    name: str
    s3: S3Server
    cluster: Cluster
    variables: Mapping[str, str] = field(repr=False)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl."""
        return self._run("kubectl", "-n", self.name, *arguments, given=given)

    def kn(self, *arguments: str) -> str:
        """Run Knative's own command."""
        return self._run("kn", "-n", self.name, *arguments)

    def scalezero(self, *arguments: str | Path, code: int = 0) -> str:
        """Run our command; what it says on both streams. `code` is the exit code that is right."""
        return self._run(str(SCALEZERO), *map(str, arguments), "-n", self.name, code=code)

    def local(self, *arguments: str | Path) -> str:
        """Run a command of ours that knows no namespace, such as `publish`, with the registry's keys."""
        return self._run(str(SCALEZERO), *map(str, arguments))

    def _run(self, *command: str, given: str | None = None, code: int = 0) -> str:
        done = subprocess.run(
            command,
            input=given,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        if done.returncode != code:
            raise Refused(f"{' '.join(command)} ended with {done.returncode}, not {code}:\n{done.stdout}")
        return done.stdout

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object that is there."""
        found = self.cluster.get(Ref(kind, name))
        assert found, f"there is no {kind} {name}"
        return found

    def url(self, model: str, tag: str | None = None) -> str:
        """Where a model's Service answers, or the revision behind a tag."""
        status = self.get("Service", model)["status"]
        if tag is None:
            return str(status["url"])
        return next(str(each["url"]) for each in status["traffic"] if each.get("tag") == tag)

    def pods(self, revision: str) -> list[dict[str, Any]]:
        """The pods of a revision that are not on their way out."""
        found = self.cluster.list("Pod", labels={REVISION_LABEL: revision})
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def wanted(self, revision: str) -> int:
        """How many pods its Deployment is told to have."""
        return int(self.get("Deployment", f"{revision}-deployment")["spec"]["replicas"])

    def at_zero(self, revision: str) -> bool:
        """Whether the revision has no pod at all: one that is ending may still be given a request."""
        return not self.wanted(revision) and not self.cluster.list("Pod", labels={REVISION_LABEL: revision})

    def condition(self, kind: str, name: str, condition: str) -> dict[str, str]:
        """One condition of an object's status; empty where it has none yet."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == condition), {})


def until(what: str, true: Callable[[], T], *, seconds: float, every: float = 0.25) -> T:
    """Wait until that is so, and give it."""
    ends = time.monotonic() + seconds
    while not (seen := true()):
        assert time.monotonic() < ends, f"not after {seconds:g} s: {what}"
        time.sleep(every)
    return seen


@contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """Make a namespace with the registry's Secret; it goes when the block ends, and nobody waits for that."""
    name = f"e2e-{name}-{secrets.token_hex(3)}"
    default = Cluster(namespace="default")
    data = {key: base64.b64decode(value).decode() for key, value in _secret(default).items()}
    s3 = S3Server(
        endpoint_url=data["AWS_ENDPOINT_URL"],
        access_key=data["AWS_ACCESS_KEY_ID"],
        secret_key=data["AWS_SECRET_ACCESS_KEY"],
        region=data["AWS_REGION"],
    )
    made = Namespace(
        name=name, s3=s3, cluster=Cluster(namespace=name), variables={**os.environ, **data, "COLUMNS": "200"}
    )
    made.kubectl("create", "namespace", name)
    try:
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": data}
        made.kubectl("apply", "-f", "-", given=json.dumps(manifest))
        yield made
    finally:
        made.kubectl("delete", "namespace", name, "--wait=false")


def _secret(cluster: Cluster) -> dict[str, str]:
    found = cluster.get(Ref("Secret", SECRET))
    assert found, f"the cluster's namespace default has no Secret {SECRET} with {', '.join(KEYS)}"
    return {key: found["data"][key] for key in KEYS}
