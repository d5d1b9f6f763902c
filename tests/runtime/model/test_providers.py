"""Execution providers: what is installed, and why one cannot be used. Each library is registered in another process."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import onnxruntime as ort
import pytest

from runtime.errors import ProviderUnavailable
from runtime.model import providers
from runtime.variants.values import CPU_PROVIDER, OPENVINO_PROVIDER

VARIABLE = "SCALEZERO_OPENVINO_LIBRARY"
ROOT = Path(__file__).parents[3]


def output_of(code: str, *arguments: object, **environ: str) -> str:
    """Run Python code in a process of its own, and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


REASON = """
import sys
from runtime.errors import ProviderUnavailable
from runtime.model import providers
for module in sys.argv[2:]:
    sys.modules[module] = None  # as if it were not installed
try:
    print(len(providers.devices(sys.argv[1])))
except ProviderUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("provider", "package"), [(CPU_PROVIDER, "onnxruntime"), (OPENVINO_PROVIDER, "onnxruntime-ep-openvino")]
)
def test_the_version_is_that_of_the_installed_package(provider: str, package: str) -> None:
    assert providers.is_installed(provider, {})
    assert providers.version_of(provider, {}) == metadata.version(package)


def test_what_is_installed_is_found_without_an_import() -> None:
    code = """
import sys
from runtime.model import providers
print([(providers.is_installed(each), bool(providers.version_of(each))) for each in providers.PROVIDERS])
print([name for name in sys.modules if name.startswith(("onnxruntime", "importlib.metadata", "numpy"))])
"""
    assert output_of(code).splitlines() == ["[(True, True), (True, True)]", "[]"]


def test_an_unknown_provider_is_not_installed() -> None:
    assert not providers.is_installed("CUDAExecutionProvider")
    assert providers.version_of("CUDAExecutionProvider") is None
    with pytest.raises(
        ProviderUnavailable, match=f"not installed; expected one of {CPU_PROVIDER}, {OPENVINO_PROVIDER}"
    ):
        providers.devices("CUDAExecutionProvider")


def test_a_package_that_is_not_installed_is_an_error_with_the_next_step() -> None:
    reason = output_of(REASON, OPENVINO_PROVIDER, "onnxruntime_ep_openvino")
    assert reason == (
        "OpenVINOExecutionProvider cannot be used: it is not installed; "
        "install scalezero[openvino], or use an image that scripts/image --with openvino builds"
    )


def test_a_package_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", None)
    assert not providers.is_installed(OPENVINO_PROVIDER, {})
    assert providers.version_of(OPENVINO_PROVIDER, {}) is None


def test_a_named_library_that_does_not_exist_is_not_installed(tmp_path: Path) -> None:
    environ = {VARIABLE: str(tmp_path / "libown.so")}
    assert not providers.is_installed(OPENVINO_PROVIDER, environ)
    assert providers.version_of(OPENVINO_PROVIDER, environ) is None
    assert "its library libown.so does not exist; install " in output_of(REASON, OPENVINO_PROVIDER, **environ)


def test_a_named_library_that_cannot_be_loaded_is_an_error_with_the_reason_and_without_its_folder(
    tmp_path: Path,
) -> None:
    (tmp_path / "libown.so").write_text("not a library")
    reason = output_of(REASON, OPENVINO_PROVIDER, **{VARIABLE: str(tmp_path / "libown.so")})
    assert "its library cannot be loaded: " in reason
    assert "libown.so: file too short" in reason or "libown.so: invalid ELF header" in reason
    assert str(tmp_path) not in reason


def test_the_version_of_a_named_library_is_in_the_name_of_a_file_beside_it(tmp_path: Path) -> None:
    library = tmp_path / "libown.so"
    environ = {VARIABLE: str(library)}
    library.touch()
    assert providers.version_of(OPENVINO_PROVIDER, environ) is None
    for suffix in ("1", "1.9.2", "1.9.2.old", "debug"):
        (tmp_path / f"libown.so.{suffix}").touch()
    (tmp_path / "libown.so.1.9.2.old").unlink()
    assert providers.is_installed(OPENVINO_PROVIDER, environ)
    assert providers.version_of(OPENVINO_PROVIDER, environ) == "1.9.2"


def test_the_version_of_a_named_library_is_that_of_the_file_it_links_to(tmp_path: Path) -> None:
    for version in ("1.8.0", "1.9.0"):
        (tmp_path / f"libown.so.{version}").touch()
    (tmp_path / "libown.so").symlink_to("libown.so.1.8.0")
    assert providers.version_of(OPENVINO_PROVIDER, {VARIABLE: str(tmp_path / "libown.so")}) == "1.8.0"


def test_a_provider_without_a_device_on_this_cpu_is_an_error() -> None:
    with pytest.raises(ProviderUnavailable, match=r"it is installed, but it offers no device on this CPU; .* by Intel"):
        providers.cpu_devices(OPENVINO_PROVIDER, [])


def test_the_devices_are_those_of_the_provider() -> None:
    assert [each.ep_name for each in providers.cpu_devices(CPU_PROVIDER, ort.get_ep_devices())] == [CPU_PROVIDER]


def test_threads_that_ask_at_the_same_time_register_the_library_once() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
from runtime.errors import ProviderUnavailable
from runtime.model import providers

def ask(provider: str) -> str:
    try:
        return providers.devices(provider)[0].ep_name
    except ProviderUnavailable as error:
        return str(error)

with ThreadPoolExecutor(8) as threads:
    print(*set(threads.map(ask, [providers.OPENVINO_PROVIDER] * 8)), sep="\\n")
"""
    answers = output_of(code).splitlines()
    assert len(answers) == 1
    assert "cannot be loaded" not in answers[0]


def test_the_metadata_of_a_device_has_the_installed_version(openvino: str) -> None:
    version = providers.devices(openvino)[0].ep_metadata["version"]
    assert version.startswith(f"{providers.version_of(openvino)}+")
