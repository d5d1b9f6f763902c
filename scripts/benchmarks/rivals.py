"""The other servers as data: how each is started, and its request format. Batches of 32 and a wait of 5 ms for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scripts.benchmarks import dialects, venvs
from scripts.benchmarks.dialects import Dialect
from scripts.benchmarks.launches import ROOT, Contender
from scripts.benchmarks.servers import PORT, Launch
from scripts.benchmarks.subjects import Subject

HERE: Final = Path(__file__).with_name("peers")
KEPT: Final = ROOT / ".local" / "peers"
MAX_BATCH: Final = 32
MAX_WAIT_MS: Final = 5  # ours waits 100 ms at most; a peer that always waits so long would answer ten times per second


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server to compare with. Several peers may share a package.

    In a command or a variable, `{bin}` is the folder of the venv's programs, `{folder}` the folder of the server,
    `{batch}` the largest batch, `{seconds}` the longest wait and `{libraries}` the folder of the Python library.
    """

    name: str
    package: str  # also the name of the folder of its server and requirements
    distribution: str | None = None  # the package's name in a registry, if it is another one
    command: Sequence[str]
    path: str
    dialect: Dialect = dialects.PLAIN
    max_batch: int = MAX_BATCH
    warm_seconds: int = 0  # of full load, before its speed counts
    embeds_python: bool = False  # it starts a program that is linked to libpython
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Path = HERE  # of the folder
    kept: Path = KEPT  # of the venv

    @property
    def requirements(self) -> Path:
        """The pins of the package and all its dependencies."""
        return self.home / self.package / "requirements.txt"

    @property
    def venv(self) -> Path:
        """The virtual environment of the peer, separate from that of the project."""
        return self.kept / self.package

    @property
    def version(self) -> str:
        """The pinned version of the package. Raises ValueError if the package has no pin."""
        wanted = self.distribution or self.package
        for pin in self.requirements.read_text().splitlines():
            name, _, version = pin.partition("==")
            if name == wanted:
                return version
        raise ValueError(f"{self.requirements}: expected a line {wanted}==VERSION")

    @property
    def label(self) -> str:
        """Its name and version."""
        return f"{self.name} {self.version}"

    def contender(self, subject: Subject) -> Contender:
        """Return its launch with a model on disk, and the subject in its request format."""
        words = {
            "{bin}": str(self.venv / "bin"),
            "{folder}": str(self.home / self.package),
            "{batch}": str(self.max_batch),
            "{seconds}": str(MAX_WAIT_MS / 1000),
            "{libraries}": str(venvs.LIBRARIES),
        }
        environment = {
            "MODEL": str(subject.path),
            "MAX_BATCH": str(self.max_batch),
            "MAX_WAIT_MS": str(MAX_WAIT_MS),
            "PYTHONPATH": str(ROOT),  # for scripts.benchmarks.floors.foundation, which opens the session
            **{name: _filled(value, words) for name, value in self.environment.items()},
        }
        launch = Launch(
            label=self.label,
            command=[_filled(word, words) for word in self.command],
            path=self.path,
            environment=environment,
        )
        return Contender(launch=launch, subject=subject.in_dialect(self.dialect), warm_seconds=self.warm_seconds)


def _filled(word: str, words: Mapping[str, str]) -> str:
    for mark, value in words.items():
        word = word.replace(mark, value)
    return word


MOSEC: Final = Peer(
    name="mosec",
    package="mosec",
    command=[
        *["{bin}/python", "{folder}/server.py", "--address", "127.0.0.1", "--port", PORT],
        *["--timeout", "60000", "--log-level", "warning"],
    ],
    path="/inference",
)
BENTOML: Final = Peer(
    name="bentoml",
    package="bentoml",
    command=[
        *["{bin}/bentoml", "serve", "service:Scorer", "--working-dir", "{folder}"],
        *["--host", "127.0.0.1", "--port", PORT],
    ],
    path="/score",
    dialect=dialects.ARGUMENTS,
    environment={"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": "{bin}/../home"},
)
LITSERVE: Final = Peer(
    name="litserve",
    package="litserve",
    command=["{bin}/python", "{folder}/server.py", PORT],
    path="/predict",
)
MLSERVER: Final = Peer(
    name="mlserver",
    package="mlserver",
    command=["{bin}/mlserver", "start", "{folder}"],
    path="/v2/models/model/infer",
    dialect=dialects.OPEN_INFERENCE,
    environment={
        "MLSERVER_HTTP_PORT": PORT,
        "MLSERVER_MODEL_MAX_BATCH_SIZE": "{batch}",
        "MLSERVER_MODEL_MAX_BATCH_TIME": "{seconds}",
    },
)
KSERVE: Final = Peer(
    name="kserve",
    package="kserve",
    command=[
        *["{bin}/python", "{folder}/server.py", "--http_port", PORT, "--enable_grpc", "false"],
        # Otherwise it logs two lines per request.
        *["--configure_logging", "false", "--enable_latency_logging", "false"],
    ],
    path="/v2/models/model/infer",
    dialect=dialects.OPEN_INFERENCE,
)
PYTRITON: Final = Peer(
    name="pytriton",
    package="pytriton",
    distribution="nvidia-pytriton",
    command=["{bin}/python", "{folder}/server.py", PORT],
    path="/v2/models/model/infer",
    dialect=dialects.OPEN_INFERENCE,
    embeds_python=True,
    environment={"LD_LIBRARY_PATH": "{libraries}", "PYTRITON_HOME": "{bin}/../home"},
)
TORCHSERVE: Final = Peer(
    name="torchserve",
    package="torchserve",
    command=["{bin}/python", "{folder}/server.py"],
    path="/predictions/model",
    warm_seconds=15,  # Java compiles frequent code: a later request takes a ninth of the CPU time of the first ones
    environment={"PORT": PORT},
)
# These wait before every batch that is not full. That is slow with few callers; one caller is fastest without batches.
WAITING: Final = (MOSEC, LITSERVE, MLSERVER, PYTRITON, TORCHSERVE)
UNBATCHED: Final = [replace(peer, name=f"{peer.name}-unbatched", max_batch=1) for peer in WAITING]

PEERS: Final[Mapping[str, Peer]] = MappingProxyType(
    {peer.name: peer for peer in (MOSEC, LITSERVE, MLSERVER, BENTOML, KSERVE, PYTRITON, TORCHSERVE, *UNBATCHED)}
)
