"""A namespace of the run's own on the cluster: what is deployed into it, where it answers, which pods it has."""

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

SECRET: Final = "scalezero-s3"  # noqa: S105 - its name, as func.yaml has it
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION")
READY_SECONDS: Final = 90.0
ZERO_SECONDS: Final = 180.0  # an untouched autoscaler waits for some 90
VERB_SECONDS: Final = 300.0  # of a command of ours; training two models is the longest
POLL_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The namespace, seen through the cluster's API."""

    cluster: Cluster
    image: str
    say: Callable[[str], None]

    @classmethod
    @contextmanager
    def made(cls, image: str, say: Callable[[str], None]) -> Iterator[Self]:
        """Make the namespace, with the registry's Secret in it; it is gone afterwards. Raises CannotMeasure."""
        name = f"bench-{os.getpid()}-{int(time.time()) % 100_000}"
        _run(["kubectl", "create", "namespace", name])
        try:
            place = cls(cluster=Cluster(namespace=name), image=image, say=say)
            place.cluster.apply(_secret(name, os.environ))
            yield place
        finally:
            _run(["kubectl", "delete", "namespace", name, "--wait=false"])

    def publish(self, folder: Path) -> None:
        """Train and publish what the registry lacks. Raises CannotMeasure."""
        self.say(f"publishing {folder.name}")
        _run([str(BIN / "scalezero"), "publish", str(folder)])

    def deploy(self, folder: Path) -> None:
        """Deploy a function's folder as a person does. Raises CannotMeasure."""
        self.say(f"deploying {folder.name}")
        self.scalezero("apply", "--filename", str(folder), "--image", self.image)

    def deploy_files(self, name: str, files: Mapping[str, str]) -> None:
        """Deploy a function's folder that is there for this alone."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, name)
            folder.mkdir()
            for each, text in files.items():
                (folder / each).write_text(text)
            self.deploy(folder)

    def scalezero(self, verb: str, *arguments: str) -> None:
        """Run a verb of ours in this namespace, from the root of the project. Raises CannotMeasure where it fails."""
        _run([str(BIN / "scalezero"), verb, *arguments, "--namespace", self.cluster.namespace])

    def apply(self, manifest: Manifest) -> None:
        """Apply a Service and wait until it is Ready. Raises CannotMeasure."""
        self.cluster.apply(manifest)
        ref = Ref("Service", manifest["metadata"]["name"])
        self._wait(lambda: _is_ready(self._get(ref)), READY_SECONDS, f"{ref} is not Ready")

    def url(self, ref: Ref, *, tag: str | None = None) -> str:
        """Where a Service or a Route answers, or one of its tags. Raises CannotMeasure where it has none."""
        status = self._get(ref).get("status", {})
        if tag is None and "url" in status:
            return str(status["url"])
        found = [str(each["url"]) for each in status.get("traffic", ()) if tag and each.get("tag") == tag]
        if not found:
            raise CannotMeasure(f"{ref} has no URL" + (f" for its tag {tag}" if tag else ""))
        return found[0]

    def share_of(self, ref: Ref, revision: str) -> int:
        """What percent of the traffic a revision has now."""
        traffic = self._get(ref).get("status", {}).get("traffic", ())
        return sum(each.get("percent", 0) for each in traffic if each["revisionName"] == revision)

    def wait_for_zero(self, revision: str) -> None:
        """Wait until a revision's last pod has ended: until then it has its share of the node. Raises CannotMeasure."""
        self._wait(lambda: not self._all_pods(revision), ZERO_SECONDS, f"{revision} still has pods")

    def pods(self, revision: str) -> list[Manifest]:
        """List the pods of a revision that are not terminating."""
        return [each for each in self._all_pods(revision) if "deletionTimestamp" not in each["metadata"]]

    def ready_pods(self, revision: str) -> int:
        """How many of them take traffic."""
        return sum(_is_ready(each) for each in self.pods(revision))

    def _all_pods(self, revision: str) -> list[Manifest]:
        return self.cluster.list("Pod", labels={"serving.knative.dev/revision": revision})

    def _get(self, ref: Ref) -> Manifest:
        found = self.cluster.get(ref)
        if found is None:
            raise CannotMeasure(f"{ref} is not there")
        return found

    def _wait(self, reached: Callable[[], bool], seconds: float, otherwise: str) -> None:
        ends = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > ends:
                raise CannotMeasure(f"{otherwise} after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)


def _secret(namespace: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """Write the Secret that gives functions the registry this process has. Raises CannotMeasure where it has none."""
    known = {key: environ[key] for key in KEYS if environ.get(key)}
    if "AWS_ACCESS_KEY_ID" not in known:
        raise CannotMeasure("no registry: AWS_ACCESS_KEY_ID and the like are not set")
    metadata = {"name": SECRET, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": known}


def _is_ready(found: Manifest) -> bool:
    """Whether an object's Ready condition is true, and about what it is now."""
    status = found.get("status", {})
    seen = status.get("observedGeneration", found["metadata"].get("generation"))
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
    return ready and seen == found["metadata"].get("generation")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=VERB_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotMeasure(f"{' '.join(command)} took longer than {VERB_SECONDS:.0f} s") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-600:]
        raise CannotMeasure(f"{' '.join(command)} exited with {done.returncode}: {said}")
