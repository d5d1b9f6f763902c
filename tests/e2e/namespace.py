"""A namespace on the real cluster, with the commands kubectl, kn and scalezero."""

import base64
import fcntl
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from knative.api.client import Cluster
from knative.objects import REVISION_LABEL, Ref
from tests import ROOT
from tests.s3_server import S3Server

T = TypeVar("T")
SECRET = "scalezero-s3"  # noqa: S105 - a name; the Secret is in the namespace `default`
SCALEZERO = Path(sys.executable).with_name("scalezero")
COMMAND_TIMEOUT = 240.0  # seconds
KEYS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


class CommandFailed(Exception):
    """A command returned an unexpected exit code."""


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
        """Run a scalezero command in this namespace; return its output. `code` is the expected exit code."""
        with _one_at_a_time() if arguments[0] == "deploy" else nullcontext():
            return self._run(str(SCALEZERO), *map(str, arguments), "-n", self.name, code=code)

    def local(self, *arguments: str | Path) -> str:
        """Run a scalezero command without a namespace, such as `publish`, with the registry's keys."""
        return self._run(str(SCALEZERO), *map(str, arguments))

    def _run(self, *command: str, given: str | None = None, code: int = 0) -> str:
        done = subprocess.run(
            command,
            input=given,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
        )
        if done.returncode != code:
            raise CommandFailed(f"{' '.join(command)} exited with {done.returncode}, not {code}:\n{done.stdout}")
        return done.stdout

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object, which must exist."""
        found = self.cluster.get(Ref(kind, name))
        assert found, f"there is no {kind} {name}"
        return found

    def url(self, model: str, tag: str | None = None) -> str:
        """Return the URL of a model's Service, or of one of its tags."""
        status = self.get("Service", model)["status"]
        if tag is None:
            return str(status["url"])
        return next(str(each["url"]) for each in status["traffic"] if each.get("tag") == tag)

    def pods(self, revision: str) -> list[dict[str, Any]]:
        """Return the pods of a revision that are not terminating."""
        found = self.cluster.list("Pod", labels={REVISION_LABEL: revision})
        return [each for each in found if "deletionTimestamp" not in each["metadata"]]

    def ready_pods(self, revision: str) -> list[str]:
        """Return the names of the pods of a revision that are ready and not terminating."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods(revision)
            if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
        ]

    def replicas(self, revision: str) -> int:
        """Return the replicas in the spec of its Deployment."""
        return int(self.get("Deployment", f"{revision}-deployment")["spec"]["replicas"])

    def is_at_zero(self, revision: str) -> bool:
        """Whether the revision has no pods, not even terminating ones, which may still get a request."""
        return not self.replicas(revision) and not self.cluster.list("Pod", labels={REVISION_LABEL: revision})

    def condition(self, kind: str, name: str, condition: str) -> dict[str, str]:
        """Return a condition of an object's status, empty if it does not exist yet."""
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == condition), {})


def wait_until(condition: str, reached: Callable[[], T], *, seconds: float, every: float = 0.25) -> T:
    """Wait until `reached` returns a true value, and return it. `condition` describes it in the error message."""
    ends = time.monotonic() + seconds
    while not (value := reached()):
        assert time.monotonic() < ends, f"not reached within {seconds:g} s: {condition}"
        time.sleep(every)
    return value


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for the other processes of this run: two deployments would both train and publish a missing model."""
    place = ROOT / ".local" / "e2e.lock"
    place.parent.mkdir(exist_ok=True)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def namespace(name: str) -> Iterator[Namespace]:
    """Create a namespace with the registry's Secret; delete it at the end, without waiting for the deletion."""
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
