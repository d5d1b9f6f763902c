"""The other servers as data: how each is started and asked. Batches of 32, a wait of 5 ms, as each one calls them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scripts.benchmarks import dialects
from scripts.benchmarks.dialects import Dialect
from scripts.benchmarks.launches import ROOT, Contender
from scripts.benchmarks.servers import PORT, Launch
from scripts.benchmarks.subjects import Subject

HERE: Final = Path(__file__).with_name("peers")
KEPT: Final = ROOT / ".local" / "peers"
MAX_BATCH: Final = 32
MAX_WAIT_MS: Final = 5  # ours may wait 100 ms by its settings; one that always waits so long would answer ten a second


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One server to compare with; several may share a package.

    In a command or a variable, `{bin}` is its venv's folder of programs, `{folder}` that of its server, `{batch}` the
    largest batch and `{seconds}` the longest wait.
    """

    name: str
    package: str  # the folder of its server and requirements, too
    command: Sequence[str]
    path: str
    dialect: Dialect = dialects.PLAIN
    max_batch: int = MAX_BATCH
    environment: Mapping[str, str] = field(default_factory=dict)
    home: Path = HERE  # of the folder
    kept: Path = KEPT  # of the venv

    @property
    def requirements(self) -> Path:
        """The pins of everything that it brings."""
        return self.home / self.package / "requirements.txt"

    @property
    def venv(self) -> Path:
        """Where it is installed, apart from the project's own environment."""
        return self.kept / self.package

    @property
    def version(self) -> str:
        """The pin of the package itself. Raises ValueError where there is none."""
        for pin in self.requirements.read_text().splitlines():
            name, _, version = pin.partition("==")
            if name == self.package:
                return version
        raise ValueError(f"{self.requirements}: expected a line {self.package}==VERSION")

    @property
    def label(self) -> str:
        """Who it is, with its version."""
        return f"{self.name} {self.version}"

    def contender(self, subject: Subject) -> Contender:
        """How it is started with a model on disk, and asked in its own JSON."""
        words = {
            "{bin}": str(self.venv / "bin"),
            "{folder}": str(self.home / self.package),
            "{batch}": str(self.max_batch),
            "{seconds}": str(MAX_WAIT_MS / 1000),
        }
        environment = {
            "MODEL": str(subject.path),
            "MAX_BATCH": str(self.max_batch),
            "MAX_WAIT_MS": str(MAX_WAIT_MS),
            "PYTHONPATH": str(ROOT),  # what opens the session is the floors'
            **{name: _filled(value, words) for name, value in self.environment.items()},
        }
        launch = Launch(
            label=self.label,
            command=[_filled(word, words) for word in self.command],
            path=self.path,
            environment=environment,
        )
        return Contender(launch=launch, subject=subject.in_dialect(self.dialect))


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
# These wait before every batch that is not full, which few callers pay for dearly: their best for one caller is none.
WAITING: Final = (MOSEC, LITSERVE, MLSERVER)
UNBATCHED: Final = [replace(peer, name=f"{peer.name}-unbatched", max_batch=1) for peer in WAITING]

PEERS: Final[Mapping[str, Peer]] = MappingProxyType(
    {peer.name: peer for peer in (MOSEC, LITSERVE, MLSERVER, BENTOML, *UNBATCHED)}
)
