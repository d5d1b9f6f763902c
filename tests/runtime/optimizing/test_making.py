"""Tests of the process that makes int8 files, with the real libraries."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from runtime.model.session import Session
from runtime.optimizing import Data, OptimizingFailed, ToolsMissing, making
from runtime.optimizing.candidates import METHODS, Method
from runtime.optimizing.making import Job, QuantizedFile, make
from tests import ROOT
from tests.models import doubling
from tests.runtime.optimizing import optimizable_models as models
from tests.runtime.registry.test_publishing_variants import largest_file

RANDOM = np.random.default_rng(5)
QUICK: tuple[Method, ...] = ("int8-dynamic", "int8-static-u8s8", "int8-static-s8s8")


def rows(*shape: int) -> Data:
    return Data({"x": RANDOM.standard_normal((20, *shape)).astype(np.float32)})


def run(
    source: Path,
    data: Data,
    methods: Sequence[Method] = METHODS,
    *,
    calibrated: bool = True,
    samples: Sequence[str] = (),
) -> dict[Method, QuantizedFile]:
    folder = source.parent / "made"
    folder.mkdir()
    job = Job(source, folder, methods, data, calibrated=calibrated, samples=samples, may_saturate=True)
    return {each.method: each for each in make(job, name="m")}


def outputs(path: Path, data: Data) -> list[np.ndarray]:
    return Session(path, uri="m", name="m", threads=1).run(list(data.inputs.values()))


@pytest.mark.parametrize(("model", "shape"), [(models.attention, (4, 16)), (models.unranked, (16,))])
def test_each_method_makes_a_file_with_similar_outputs(
    tmp_path: Path, model: Callable[[Path], Path], shape: tuple[int, ...]
) -> None:
    source, data = model(tmp_path / "m.onnx"), rows(*shape)
    made = run(source, data)
    assert list(made) == list(METHODS)
    (expected,) = outputs(source, data)
    for each in made.values():
        assert each.path is not None, each.reason
        assert models.has_int8_weights(each.path)
        (found,) = outputs(each.path, data)
        assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected), each.method


def test_values_between_convolutions_stay_int8(tmp_path: Path) -> None:
    made = run(models.convolution(tmp_path / "m.onnx"), rows(3, 8, 8), QUICK)
    assert made["int8-dynamic"].reason == (
        "the model has no operator that this method quantizes, only Conv, GlobalAveragePool, Relu"
    )
    path = made["int8-static-u8s8"].path
    assert path is not None
    session = Session(path, uri="m", name="m", threads=1)
    assert session.signature.inputs[0].dtype == np.float32
    steps = [node.op_type for node in models.nodes(path)]
    assert steps[steps.index("Conv") + 1] == "QuantizeLinear"
    assert "GlobalAveragePool" in steps[steps.index("Conv") :]


@pytest.mark.parametrize("opset", [9, 11])
def test_an_old_operator_set_is_converted(tmp_path: Path, opset: int) -> None:
    made = run(models.mlp(tmp_path / "m.onnx", opset=opset), rows(16), QUICK[:2])
    assert all(each.path is not None for each in made.values()), made


def test_operator_sets_that_are_declared_twice_are_accepted(tmp_path: Path) -> None:
    """skl2onnx declares those of ai.onnx.ml first, and the standard's twice."""
    source = models.mlp(tmp_path / "m.onnx")
    model = onnx.load(source)
    (standard,) = [each.version for each in model.opset_import if not each.domain]
    del model.opset_import[:]
    domains = (("ai.onnx.ml", 1), ("", standard), ("", standard))
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in domains)
    onnx.save(model, source)
    made = run(source, rows(16))
    assert all(each.path is not None for each in made.values()), made


def test_a_model_that_fixes_its_first_axis_is_calibrated_by_samples(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "m.onnx", batch=2)
    made = run(source, rows(2, 16), QUICK[1:2], samples=["x"])
    assert made["int8-static-u8s8"].path is not None


def test_equal_rows_are_accepted(tmp_path: Path) -> None:
    data = Data({"x": np.zeros((5, 16), np.float32)})
    made = run(models.mlp(tmp_path / "m.onnx"), data, QUICK[1:2])
    assert made["int8-static-u8s8"].path is not None


@pytest.mark.parametrize(
    ("model", "data", "reason"),
    [
        (
            models.linear_classifier,
            rows(2),
            "the model has no operator that this method quantizes, only LinearClassifier",
        ),
        (doubling, rows(2), "the model has no operator that this method quantizes, only Add"),
        (models.quantized, rows(2), "the model is quantized already: it has QuantizeLinear"),
    ],
)
def test_a_model_without_a_quantizable_operator_has_that_reason(
    tmp_path: Path, model: Callable[[Path], Path], data: Data, reason: str
) -> None:
    made = run(model(tmp_path / "m.onnx"), data, QUICK[:2])
    assert [each.reason for each in made.values()] == [reason, reason]


def test_strings_are_given_to_the_model(tmp_path: Path) -> None:
    data = Data({"text": np.array(["a", "bc"], object)})
    made = run(models.text_length(tmp_path / "m.onnx"), data, QUICK[:2])
    assert {each.reason for each in made.values()} == {
        "the model has no operator that this method quantizes, only Identity"
    }


def test_without_calibration_data_only_the_dynamic_method_makes_a_file(tmp_path: Path) -> None:
    made = run(models.mlp(tmp_path / "m.onnx"), rows(16), calibrated=False)
    assert made["int8-dynamic"].path is not None
    reasons = {each.reason for each in made.values() if each.path is None}
    assert reasons == {"there is no calibration data, from which this method takes the ranges of the activations"}


def test_a_file_that_is_no_model_has_the_reason_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    made = run(tmp_path / "m.onnx", rows(16), QUICK[:1])
    assert (made["int8-dynamic"].reason or "").startswith("DecodeError: ")


def test_a_full_disk_is_an_error_and_not_a_reason(tmp_path: Path, small_disk: Path) -> None:
    source = models.mlp(small_disk / "m.onnx", width=512)
    with pytest.raises(OptimizingFailed, match="No space left on device; free some space there"):
        run(source, rows(512), QUICK[:1])


def test_a_limit_on_the_size_of_files_is_an_error_and_not_a_reason(tmp_path: Path) -> None:
    source = models.mlp(tmp_path / "m.onnx", width=512)
    with largest_file(2**18), pytest.raises(OptimizingFailed, match="File too large; free some space there"):
        run(source, rows(16), QUICK[:1])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 3 MiB, which a model of 1 MiB fills when it is quantized."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_worker_that_dies_is_the_reason_for_one_file_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first worker ends itself when it imports the library of the first method."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys, pathlib\n"
        f"mark = pathlib.Path({str(site)!r}) / 'mark'\n"
        "if 'runtime.optimizing.worker' in sys.orig_argv and not mark.exists():\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    made = run(models.mlp(tmp_path / "m.onnx"), rows(16), QUICK[:2])
    assert made["int8-dynamic"].reason == "the process that makes it was ended by SIGKILL"
    assert made["int8-static-u8s8"].path is not None


def test_a_worker_that_cannot_start_has_its_last_line_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('no numpy here')")
    monkeypatch.setattr(making, "_ROOT", f"{tmp_path}{os.pathsep}{making._ROOT}")
    made = run(models.mlp(tmp_path / "m.onnx"), rows(16), QUICK[:1])
    assert made["int8-dynamic"].reason == "the process that makes it ended with exit code 1: no numpy here"


def test_a_missing_package_is_an_error_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_TOOLS", ("onnx", "no_such_package"))
    with pytest.raises(ToolsMissing, match=r"no_such_package is not installed: pip install 'scalezero\[optimize\]'"):
        making.require_tools("m")


def test_nncf_sends_nothing_and_writes_nothing_to_the_home_folder(tmp_path: Path) -> None:
    """Without pytest in the process, NNCF would write an id below HOME, and send events to a server of Google's."""
    home, site = tmp_path / "home", tmp_path / "site"
    home.mkdir()
    site.mkdir()
    log = tmp_path / "connections"
    log.touch()
    (site / "sitecustomize.py").write_text(
        "import sys\n"
        "def note(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'urllib.Request', 'subprocess.Popen'):\n"
        f"        print(event, arguments, file=open({str(log)!r}, 'a'))\n"
        "sys.addaudithook(note)\n"
    )
    source, data = models.mlp(tmp_path / "m.onnx"), rows(16)
    np.savez(tmp_path / "rows.npz", **data.inputs)  # type: ignore[arg-type] # the keywords are the names of the arrays
    request = tmp_path / "job.json"
    job = Job(source, tmp_path, ["int8-nncf"], data, calibrated=True, samples=(), may_saturate=True)
    request.write_text(json.dumps(making._request(job, job.methods)))
    environ = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-m", "runtime.optimizing.worker", str(request)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["path"] for each in answers] == [str(tmp_path / "int8-nncf.onnx")]
    assert list(home.rglob("*")) == []
    assert log.read_text() == ""
