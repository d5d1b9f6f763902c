"""How other servers are installed, started and asked; one that fails is named and the rest goes on."""

import re
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import dialects, launches, venvs
from scripts.benchmarks.cli import compared
from scripts.benchmarks.dialects import Dialect
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.peers import AGAINST, names
from scripts.benchmarks.rivals import PEERS, Peer
from scripts.benchmarks.servers import PORT
from scripts.benchmarks.subjects import Subject, flat


class TestDialects:
    answers: ClassVar = {
        "plain": (dialects.PLAIN, {"outputs": [0.25, 0.75]}),
        "arguments": (dialects.ARGUMENTS, [[0.25, 0.75]]),
        "open inference": (
            dialects.OPEN_INFERENCE,
            {"model_name": "m", "outputs": [{"name": "s", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]}]},
        ),
    }

    @pytest.mark.parametrize(("dialect", "answer"), answers.values(), ids=answers)
    def test_only_the_outputs_of_an_answer_count(self, dialect: Dialect, answer: object) -> None:
        assert flat(dialect.outputs(answer)) == [0.25, 0.75]

    @pytest.mark.parametrize("dialect", [dialect for dialect, _ in answers.values()], ids=answers)
    def test_an_error_is_no_answer_in_any_dialect(self, dialect: Dialect, linear: Subject) -> None:
        subject = linear.in_dialect(dialect)
        for text in (b'{"error": "no"}', b'{"outputs": "no"}', b"[]", b"null", b'"no"', b'{"outputs": [{}]}'):
            assert not subject.accepts(0, text)

    @given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
    def test_a_request_holds_the_row_and_its_shape(self, row: list[float]) -> None:
        assert dialects.PLAIN.request(row) == {"inputs": row}
        assert dialects.ARGUMENTS.request(row) == {"inputs": [row]}
        (tensor,) = dialects.OPEN_INFERENCE.request(row)["inputs"]
        assert tensor["data"] == row
        assert tensor["shape"] == [1, len(row)]


class TestRivals:
    @pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
    def test_everything_that_a_peer_brings_is_pinned(self, peer: Peer) -> None:
        pins = [line for line in peer.requirements.read_text().splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+]*", pin) for pin in pins)
        assert peer.label == f"{peer.name} {peer.version}"

    def test_a_package_without_a_pin_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        (tmp_path / "odd" / "requirements.txt").write_text("numpy==2.4.6\n")
        with pytest.raises(ValueError, match="expected a line odd==VERSION"):
            _ = self.peer("odd", home=tmp_path).version

    @pytest.mark.parametrize("name", ["mosec", "litserve", "mlserver", "bentoml"])
    def test_peers_batch_as_we_do_and_wait_five_milliseconds(self, name: str, linear: Subject) -> None:
        got = PEERS[name].contender(linear).launch.environment
        assert got.items() >= {"MAX_BATCH": "32", "MAX_WAIT_MS": "5", "MODEL": str(linear.path)}.items()
        assert got.get("MLSERVER_MODEL_MAX_BATCH_TIME", "0.005") == "0.005"

    def test_a_peer_without_batches_is_asked_for_its_throughput_only(self, linear: Subject) -> None:
        assert names(PEERS["mosec"]) == list(AGAINST)
        assert names(PEERS["mosec-unbatched"]) == ["throughput_c1", "throughput_c8", "throughput_c32"]
        assert PEERS["mosec-unbatched"].contender(linear).launch.environment["MAX_BATCH"] == "1"

    def test_a_peer_runs_in_its_own_venv(self, linear: Subject) -> None:
        launch = PEERS["bentoml"].contender(linear).launch
        assert launch.command[0] == str(launches.ROOT / ".local" / "peers" / "bentoml" / "bin" / "bentoml")
        assert not [word for word in (*launch.command, *launch.environment.values()) if "{" in word and word != PORT]

    @staticmethod
    def peer(name: str, *, home: Path, kept: Path | None = None) -> Peer:
        command = [sys.executable, "-c", "import sys; sys.exit('no license')"]
        return Peer(name=name, package=name, command=command, path="/", home=home, kept=kept or home)


class TestVenvs:
    def test_what_is_installed_is_left_alone_until_a_pin_changes(self, tmp_path: Path) -> None:
        """The second call would have to fail, as no registry knows the pin."""
        pins, venv = tmp_path / "requirements.txt", tmp_path / "venv"
        pins.write_text("")
        venvs.make(venv, pins)
        made = (venv / "pyvenv.cfg").stat().st_mtime_ns
        venvs.make(venv, pins)
        assert (venv / "pyvenv.cfg").stat().st_mtime_ns == made
        pins.write_text("not a pin\n")
        with pytest.raises(CannotMeasure, match=r"pip install exited with 1: .*Invalid requirement"):
            venvs.make(venv, pins)
        assert not (venv / venvs.STAMP).exists()


class TestComparing:
    """Beside the real thing: ours is published, pulled and started, the peer is odd."""

    def test_a_peer_that_does_not_start_is_named_with_its_reason(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        pins = tmp_path / "odd" / "requirements.txt"
        pins.write_text("odd==1.0\n")
        (tmp_path / "odd" / venvs.STAMP).write_text(venvs.wanted(pins))
        figures, failed = compared(lab, TestRivals.peer("odd", home=tmp_path))
        assert not figures
        assert [each.partition(":")[0] for each in failed] == [f"odd 1.0 {name}" for name in AGAINST]
        assert all("odd 1.0 exited with 1: no license" in each for each in failed)

    def test_a_peer_that_cannot_be_installed_is_named_with_its_reason(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        (tmp_path / "odd" / "requirements.txt").write_text("odd==1.0\n./none\n")
        (failed,) = compared(lab, TestRivals.peer("odd", home=tmp_path, kept=tmp_path / "venvs"))[1]
        assert failed.startswith("odd 1.0 cannot be installed: ")
