"""Gives a guest what its `Access` states, and nothing else: folders, names of hosts, and HTTP requests.

A folder is opened for each instance, so a guest sees the files of a ConfigMap that the kubelet has replaced since.
wasmtime resolves each path inside of the folder: neither .. nor a symbolic link leads out of it.
"""

import os
from typing import TYPE_CHECKING, Final

import wasmtime
from wasmtime import _ffi as c_api  # the Python classes have no methods for the network

from runtime.configuration.guest_folders import GuestFolder
from runtime.wasm.access import Access

if TYPE_CHECKING:
    from wasmtime.component import Linker as ComponentLinker

HTTP: Final = "wasi:http/"  # in the names of imports


class FolderUnavailable(Exception):
    """A folder of a guest cannot be opened. Its text has the path in the guest; the cause has that on this machine."""

    def __init__(self, folder: GuestFolder, reason: str) -> None:
        self.folder = folder
        super().__init__(f"its folder {folder.guest_path} cannot be opened ({reason})")


def allow(wasi: wasmtime.WasiConfig, access: Access) -> None:
    """Add the folders and the network to WASI's configuration. Raises `FolderUnavailable`."""
    for each in access.folders:
        try:
            # Not mutable: wasmtime refuses writes to files, and changes of folders, of times and of links.
            wasi.preopen_dir(each.path, each.guest_path, fs_mutable=not each.read_only)
        except wasmtime.WasmtimeError as error:
            raise FolderUnavailable(each, _reason(each.path)) from error
    if access.network:
        # All addresses, and names of hosts. wasmtime 50 creates no TCP and UDP sockets for an embedder in C, which has
        # no function to allow them; of the two calls, only the second one has an effect there.
        c_api.wasi_config_inherit_network(wasi.ptr())
        c_api.wasi_config_allow_ip_name_lookup(wasi.ptr(), True)  # noqa: FBT003 - its parameters have no names


def add_wasi(linker: "ComponentLinker", *, network: bool) -> None:
    """Define WASI for a component: with `network`, also HTTP requests. Its store needs the same in `set_wasi`."""
    linker.add_wasip2()
    if network:
        linker.add_wasi_http()


def set_wasi(store: wasmtime.Store, wasi: wasmtime.WasiConfig, *, network: bool) -> None:
    """Set the configuration of a store. wasmtime ends the process if a guest uses HTTP without `set_wasi_http`."""
    store.set_wasi(wasi)
    if network:
        store.set_wasi_http()


def _reason(path: str) -> str:
    try:
        with os.scandir(path):
            return "the runtime of WebAssembly refuses it"
    except OSError as error:
        return str(error.strerror)
