"""The execution providers of ONNX Runtime that can run a model, and why one of them cannot be used here.

    name -> installed? (files only) -> plugin library registered, once per process -> devices -> session

A cold start asks `is_installed` and `version_of` before it imports onnxruntime: they only look at files. ONNX Runtime's
own CPU provider is always there. OpenVINO comes as a plugin library, in the package of `scalezero[openvino]`.
"""

import os
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from runtime.errors import ProviderUnavailable
from runtime.settings import OPENVINO_LIBRARY
from runtime.variants.names import CPU_PROVIDER, OPENVINO_PROVIDER

if TYPE_CHECKING:
    import onnxruntime as ort

PROVIDERS: Final = (CPU_PROVIDER, OPENVINO_PROVIDER)
_PACKAGE: Final = "onnxruntime_ep_openvino"
_LIBRARY: Final = "libonnxruntime_providers_openvino_plugin.so"
_NO_DEVICE: Final = "it is installed, but it offers no device on this CPU; OpenVINO supports CPUs by Intel"
_INSTALL: Final = "install scalezero[openvino], or use an image that scripts/image --with openvino builds"
_registering: Final = Lock()
_registered: Final[dict[str, Path]] = {}  # provider -> its library; ONNX Runtime registers for the whole process


def is_installed(provider: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the files of the provider are installed. It imports nothing and loads no library."""
    if provider == CPU_PROVIDER:
        return find_spec("onnxruntime") is not None
    library = _library(provider, environ)
    return library is not None and library.is_file()


def version_of(provider: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the version of an installed provider, such as 1.8.1, from the names of files; None: unknown.

    A compiled model is valid for one version. For a library that SCALEZERO_OPENVINO_LIBRARY names, the version is that
    in the name of the file that the library links to, or of a file beside it: LIBRARY.1.8.1.
    """
    if provider == CPU_PROVIDER:
        return _package_version("onnxruntime")
    if provider != OPENVINO_PROVIDER:
        return None
    library = environ.get(OPENVINO_LIBRARY)
    return _library_version(Path(library)) if library else _package_version(_PACKAGE)


def devices(provider: str) -> list["ort.OrtEpDevice"]:
    """Return the CPU devices of a plugin provider; the first call registers its library.

    Raises `ProviderUnavailable` if it is not installed, cannot be loaded, or offers no device on this CPU.
    """
    import onnxruntime as ort

    library = _library(provider, os.environ)
    if library is None:
        step = _INSTALL if provider == OPENVINO_PROVIDER else f"expected one of {', '.join(PROVIDERS)}"
        raise ProviderUnavailable(provider, f"it is not installed; {step}")
    _register(provider, library)
    return cpu_devices(provider, ort.get_ep_devices())


def cpu_devices(provider: str, offered: Iterable["ort.OrtEpDevice"]) -> list["ort.OrtEpDevice"]:
    """Return the provider's CPU devices among all that are offered; raises `ProviderUnavailable` if there is none."""
    # A plugin also offers devices that combine others, such as OpenVINOExecutionProvider.AUTO.
    found = [each for each in offered if each.ep_name == provider and each.device.type.name == "CPU"]
    if not found:
        raise ProviderUnavailable(provider, _NO_DEVICE)
    return found


def _register(provider: str, library: Path) -> None:
    import onnxruntime as ort

    with _registering:
        if provider in _registered:
            return
        if not library.is_file():
            raise ProviderUnavailable(provider, f"its library {library.name} does not exist; {_INSTALL}")
        try:
            ort.register_execution_provider_library(provider, str(library.absolute()))
        except Exception as error:  # onnxruntime's exceptions have no other common base class
            text = " ".join(str(error).split()).replace(f"{library.absolute().parent}/", "")
            raise ProviderUnavailable(provider, f"its library cannot be loaded: {text}") from error
        _registered[provider] = library


def _library(provider: str, environ: Mapping[str, str]) -> Path | None:
    """Return the path of the provider's library, which may not exist; None: its package is not installed."""
    if provider != OPENVINO_PROVIDER:
        return None
    if own := environ.get(OPENVINO_LIBRARY):
        return Path(own)
    folder = _package_folder(_PACKAGE)
    return folder and folder / _LIBRARY


def _package_folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _package_version(package: str) -> str | None:
    """Return the version in the name of the package's metadata folder: importing importlib.metadata takes too long."""
    folder = _package_folder(package)
    names = () if folder is None else (each.name for each in folder.parent.glob(f"{package}-*.dist-info"))
    return next((name.removeprefix(f"{package}-").removesuffix(".dist-info") for name in names), None)


def _library_version(library: Path) -> str | None:
    prefix = f"{library.name}."
    names = (library.resolve().name, *(each.name for each in library.parent.glob(f"{prefix}*")))
    suffixes = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return max((each for each in suffixes if each[:1].isdigit()), key=len, default=None)
