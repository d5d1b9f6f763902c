"""The namespace of a benchmark run on the cluster: its deployments, their URLs and their pods."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from knative.api.client import Cluster
from knative.objects import Manifest, Ref
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.launches import BIN, ROOT

SECRET: Final = "scalezero-s3"  # noqa: S105 - the name in func.yaml, not a password
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
READY_SECONDS: Final = 90.0
ZERO_SECONDS: Final = 180.0  # an autoscaler with default settings takes about 90 s
COMMAND_SECONDS: Final = 300.0  # the longest command trains two models
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchNamespace:
    """The namespace, accessed through the cluster's API."""

    cluster: Cluster
    image: str
    log: Callable[[str], None]

    @classmethod
    @contextmanager
    def create(cls, image: str, log: Callable[[str], None]) -> Iterator[Self]:
        """Create the namespace with the registry's Secret; delete it afterwards. Raises CannotMeasure."""
        name = f"bench-{os.getpid()}-{int(time.time()) % 100_000}"
        _run(["kubectl", "create", "namespace", name])
        try:
            namespace = cls(cluster=Cluster(namespace=name), image=image, log=log)
            namespace.cluster.apply(_secret(name, os.environ))
            yield namespace
        finally:
            _run(["kubectl", "delete", "namespace", name, "--wait=false"])

    def publish(self, folder: Path) -> None:
        """Train and publish the models that the registry does not have. Raises CannotMeasure."""
        self.log(f"publishing {folder.name}")
        _run([str(BIN / "scalezero"), "publish", str(folder)])

    def deploy(self, folder: Path) -> None:
        """Deploy a function's folder by `scalezero apply`. Raises CannotMeasure."""
        self.log(f"deploying {folder.name}")
        self.scalezero("apply", "--filename", str(folder), "--image", self.image)

    def deploy_files(self, name: str, files: Mapping[str, str]) -> None:
        """Deploy a temporary function folder with these files."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, name)
            folder.mkdir()
            for each, text in files.items():
                (folder / each).write_text(text)
            self.deploy(folder)

    def scalezero(self, command: str, *arguments: str) -> None:
        """Run a scalezero command in this namespace, from the root of the project. Raises CannotMeasure if it fails."""
        _run([str(BIN / "scalezero"), command, *arguments, "--namespace", self.cluster.namespace])

    def apply(self, manifest: Manifest) -> None:
        """Apply a Service and wait until it is Ready. Raises CannotMeasure."""
        self.cluster.apply(manifest)
        ref = Ref("Service", manifest["metadata"]["name"])
        self._wait(lambda: _is_ready(self._get(ref)), READY_SECONDS, f"{ref} is not Ready")

    def url(self, ref: Ref, *, tag: str | None = None) -> str:
        """Return the URL of a Service or a Route, or of one of its tags. Raises CannotMeasure if it has none."""
        status = self._get(ref).get("status", {})
        if tag is None and "url" in status:
            return str(status["url"])
        found = [str(each["url"]) for each in status.get("traffic", ()) if tag and each.get("tag") == tag]
        if not found:
            raise CannotMeasure(f"{ref} has no URL" + (f" for its tag {tag}" if tag else ""))
        return found[0]

    def share_of(self, ref: Ref, revision: str) -> int:
        """Return the current traffic percent of a revision."""
        traffic = self._get(ref).get("status", {}).get("traffic", ())
        return sum(each.get("percent", 0) for each in traffic if each["revisionName"] == revision)

    def wait_for_zero(self, revision: str) -> None:
        """Wait until the last pod of a revision is deleted and uses no CPU. Raises CannotMeasure."""
        self._wait(lambda: not self._all_pods(revision), ZERO_SECONDS, f"{revision} still has pods")

    def pods(self, revision: str) -> list[Manifest]:
        """List the pods of a revision that are not terminating."""
        return [each for each in self._all_pods(revision) if "deletionTimestamp" not in each["metadata"]]

    def ready_pods(self, revision: str) -> int:
        """Return the number of pods that are ready."""
        return sum(_is_ready(each) for each in self.pods(revision))

    def _all_pods(self, revision: str) -> list[Manifest]:
        return self.cluster.list("Pod", labels={"serving.knative.dev/revision": revision})

    def _get(self, ref: Ref) -> Manifest:
        found = self.cluster.get(ref)
        if found is None:
            raise CannotMeasure(f"{ref} does not exist in the namespace {self.cluster.namespace}")
        return found

    def _wait(self, reached: Callable[[], bool], seconds: float, otherwise: str) -> None:
        ends = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > ends:
                raise CannotMeasure(f"{otherwise} after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)


def _secret(namespace: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the Secret with the registry of this process, for the functions. Raises CannotMeasure if it has none."""
    known = {key: environ[key] for key in KEYS if environ.get(key)}
    if "AWS_ACCESS_KEY_ID" not in known:
        raise CannotMeasure(f"there is no registry: AWS_ACCESS_KEY_ID is not set; set {', '.join(KEYS)}")
    metadata = {"name": SECRET, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": known}


def _is_ready(found: Manifest) -> bool:
    """Whether the Ready condition of an object is true for its current generation."""
    status = found.get("status", {})
    observed = status.get("observedGeneration", found["metadata"].get("generation"))
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return ready and observed == found["metadata"].get("generation")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"{' '.join(command)} took longer than {COMMAND_SECONDS:.0f} s") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip()[-600:]
        raise CannotMeasure(f"{' '.join(command)} exited with {done.returncode}: {output}")
