"""A guest reaches the folders and the network that its `Access` states, and nothing else."""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from runtime.configuration.guest_folders import GuestFolder
from runtime.errors import FunctionFailed, GuestCrashed
from runtime.wasm import Access, Limits
from runtime.wasm.binary import Kind
from runtime.wasm.code import Code, compile_code, load_code
from runtime.wasm.guest import Call, Guest
from tests import guests
from tests.runtime.wasi_nn.building import SOURCES, c_guest, compiled_guest, reaching_guest, requesting_guest

pytestmark = pytest.mark.timeout(900)  # a guest is built, and compiled, when it is first used
MIB = 2**20
LIMITS = Limits(seconds=60, memory=64 * MIB, output=MIB)
# WASI's numbers of errors.
DONE, ACCESS, NO_ENTRY, NOT_PERMITTED, NOT_CAPABLE = 0, 2, 44, 63, 76
WRITES = [
    "create /d/new",
    "overwrite /d/file",
    "append /d/file",
    "truncate /d/file",
    "unlink /d/file",
    "mkdir /d/new",
    "rmdir /d/empty",
    "rename /d/file /d/new",
    "link /d/file /d/new",
    "symlink file /d/new",
    "touch /d/file",
    "touch-open /d/file",
]


@pytest.fixture(scope="module")
def files() -> Code:
    return compile_code(c_guest(SOURCES / "c" / "files.c").read_bytes(), name="files.wasm")


@pytest.fixture(scope="module")
def reaching() -> Code:
    return load_code(compiled_guest(reaching_guest()), kind=Kind.COMPONENT, name="reaching.wasm")


@pytest.fixture(scope="module")
def requesting() -> Code:
    return load_code(compiled_guest(requesting_guest()), kind=Kind.COMPONENT, name="requesting.wasm")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like a mounted ConfigMap, with links that lead out of it, beside a secret."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret").write_text("SECRET")
    (folder / "file").write_text("content")
    (folder / "empty").mkdir()
    (folder / "..1").mkdir()
    (folder / "..1" / "key").write_text("old")
    (folder / "..data").symlink_to("..1")
    (folder / "key").symlink_to("..data/key")
    (folder / "out").symlink_to("../secret")
    (folder / "absolute").symlink_to(tmp_path / "secret")
    (folder / "parent").symlink_to("..")
    return folder


def operate(files: Code, folder: Path, operation: str, *, read_only: bool = True) -> tuple[int, str]:
    """Let the guest do an operation; return its errno and what it has read."""
    access = Access([GuestFolder(str(folder), "/d", read_only)])
    output = Guest(files, LIMITS, access=access).run(Call(["files", *operation.split()], [], b"")).decode()
    found = re.fullmatch(r"Content-Type: text/plain\n\n(-?\d+) (.*)", output)
    assert found, output
    return int(found[1]), found[2]


def state(folder: Path) -> list[tuple[object, ...]]:
    """Return what is below a folder: names, times, links and contents."""
    return sorted(
        (str(each), each.lstat().st_mtime_ns, each.lstat().st_nlink, each.is_file() and each.read_bytes())
        for each in folder.rglob("*")
    )


def test_a_folder_is_read(files: Code, folder: Path) -> None:
    assert operate(files, folder, "read /d/file") == (DONE, "content")
    assert operate(files, folder, "list /d/empty") == (DONE, "")
    assert set(operate(files, folder, "list /d")[1].split()) == {"file", "empty", "key", "out", "absolute", "parent"}


@pytest.mark.parametrize("operation", WRITES)
def test_a_read_only_folder_and_its_files_never_change(files: Code, folder: Path, operation: str) -> None:
    before = state(folder)
    assert operate(files, folder, operation) == (NOT_PERMITTED, "")
    assert state(folder) == before


@pytest.mark.parametrize("operation", WRITES)
def test_a_writable_folder_changes(files: Code, folder: Path, operation: str) -> None:
    before = state(folder)
    assert operate(files, folder, operation, read_only=False) == (DONE, "")
    assert state(folder) != before


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("read /d/../secret", NOT_PERMITTED),
        ("read /d/empty/../../secret", NOT_PERMITTED),
        ("read /d/out", NOT_PERMITTED),
        ("read /d/absolute", NOT_PERMITTED),
        ("read /d/parent/secret", NOT_PERMITTED),
        ("list /d/parent", NOT_PERMITTED),
        ("overwrite /d/out", NOT_PERMITTED),
        ("overwrite /d/absolute", NOT_PERMITTED),
        ("create /d/parent/new", NOT_PERMITTED),
        ("unlink /d/../secret", NOT_PERMITTED),
        ("rename /d/file /d/../new", NOT_PERMITTED),
        ("link /d/out /d/parent/new", NOT_PERMITTED),
        ("symlink /etc/passwd /d/new", NOT_PERMITTED),
        ("read /etc/passwd", NOT_CAPABLE),
    ],
)
def test_no_path_leads_out_of_a_folder(
    files: Code, folder: Path, operation: str, error: int, *, read_only: bool
) -> None:
    before = state(folder.parent)
    assert operate(files, folder, operation, read_only=read_only) == (error, "")
    assert state(folder.parent) == before


def test_a_link_that_the_guest_makes_does_not_lead_out_either(files: Code, folder: Path) -> None:
    assert operate(files, folder, "symlink ../secret /d/mine", read_only=False) == (DONE, "")
    assert operate(files, folder, "read /d/mine", read_only=False) == (NOT_PERMITTED, "")


def test_a_config_map_that_the_kubelet_replaces_is_read_by_the_next_call(files: Code, folder: Path) -> None:
    """The kubelet writes another folder, and renames a link to it over ..data."""
    guest = Guest(files, LIMITS, access=Access([GuestFolder(str(folder), "/d")]))
    call = Call(["files", "read", "/d/key"], [], b"")
    assert guest.run(call).endswith(b"\n\n0 old")
    (folder / "..2").mkdir()
    (folder / "..2" / "key").write_text("new")
    (folder / "..next").symlink_to("..2")
    (folder / "..next").rename(folder / "..data")
    shutil.rmtree(folder / "..1")
    assert guest.run(call).endswith(b"\n\n0 new")


def test_a_guest_has_several_folders(files: Code, folder: Path) -> None:
    access = Access([GuestFolder(str(folder), "/a"), GuestFolder(str(folder / "..1"), "/a/b", read_only=False)])
    guest = Guest(files, LIMITS, access=access)
    outputs = [
        guest.run(Call(["files", *each.split()], [], b"")) for each in ("read /a/b/key", "create /a/b/n", "create /a/n")
    ]
    assert [each.partition(b"\n\n")[2] for each in outputs] == [b"0 old", b"0 ", b"%d " % NOT_PERMITTED]


def test_a_folder_that_does_not_exist_fails_at_the_start(tmp_path: Path) -> None:
    code = compile_code(guests.binary(guests.ECHO), name="main.wasm")
    (tmp_path / "file").touch()
    for name, reason in (("missing", "No such file or directory"), ("file", "Not a directory")):
        with pytest.raises(
            FunctionFailed, match=rf"its folder /labels cannot be opened \({reason}\); expected a folder"
        ) as failed:
            Guest(code, LIMITS, access=Access([GuestFolder(str(tmp_path / name), "/labels")]))
        assert str(tmp_path) not in str(failed.value)


def test_a_folder_that_is_gone_later_fails_the_call(files: Code, folder: Path) -> None:
    guest = Guest(files, LIMITS, access=Access([GuestFolder(str(folder), "/d")]))
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(GuestCrashed, match=r"its folder /d cannot be opened \(No such file or directory\)"):
        guest.run(Call(["files", "read", "/d/file"], [], b""))


def reach(code: Code, access: Access, *arguments: str) -> Any:  # noqa: ANN401 - JSON
    output = Guest(code, LIMITS, access=access).run(Call(["guest", *arguments], [], b""))
    return json.loads(output.partition(b"\n\n")[2])


def refused(error: str, errno: int) -> dict[str, object]:
    return {"error": error, "errno": errno}


def test_a_component_reaches_a_declared_folder_only(reaching: Code, folder: Path) -> None:
    access = Access([GuestFolder(str(folder), "/d")])
    answers = reach(reaching, access, "read=/d/file", "write=/d/file", "read=/d/../secret", "read=/d/out")
    denied = refused("PermissionError", NOT_PERMITTED)
    assert answers == ["content", denied, denied, denied]
    assert reach(reaching, Access([GuestFolder(str(folder), "/d", read_only=False)]), "write=/d/file") == [7]
    assert (folder / "file").read_text() == "changed"
    assert reach(reaching, Access(), "read=/d/file") == [refused("FileNotFoundError", NO_ENTRY)]


def test_a_component_looks_up_names_only_with_a_network(reaching: Code) -> None:
    lookup_failed = -4  # EAI_FAIL of Python's library
    assert reach(reaching, Access(), "name=localhost") == [refused("gaierror", lookup_failed)]
    (addresses,) = reach(reaching, Access(network=True), "name=localhost")
    assert {"127.0.0.1", "::1"} & set(addresses)


@pytest.mark.parametrize("network", [True, False])
def test_no_guest_opens_sockets(reaching: Code, *, network: bool) -> None:
    """The C API of wasmtime 50 cannot allow them. If this fails for `True`, sockets are allowed: document it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        answers = reach(reaching, Access(network=network), f"tcp=127.0.0.1:{port}", "listen=127.0.0.1")
    assert answers == [refused("PermissionError", ACCESS)] * 2


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(201)
        self.end_headers()
        self.wfile.write(f"at {self.path}".encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_component_with_a_network_sends_http_requests(requesting: Code, server: str) -> None:
    guest = Guest(requesting, LIMITS, access=Access(network=True))
    for path in ("/a", "/b?c"):
        output = guest.run(Call(["requesting", server, path], [], b""))
        assert json.loads(output.partition(b"\n\n")[2]) == [201, f"at {path}"]
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert reach(requesting, Access(network=True), address, "/") == "ErrorCode_ConnectionRefused"


def test_a_component_that_needs_http_without_a_network_fails_at_the_start(requesting: Code) -> None:
    reason = r"it imports wasi:http/outgoing-handler@0\.2\.\d+, and has no network; expected network: true in guest"
    with pytest.raises(FunctionFailed, match=reason):
        Guest(requesting, LIMITS)


def test_only_a_core_module_can_use_no_network(reaching: Code, files: Code) -> None:
    assert Guest(files, LIMITS, access=Access(network=True)).is_core_module
    assert not Guest(reaching, LIMITS).is_core_module


def test_the_process_keeps_no_descriptor_of_a_folder(files: Code, folder: Path) -> None:
    guest = Guest(files, LIMITS, access=Access([GuestFolder(str(folder), "/d")], network=True))
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        guest.run(Call(["files", "read", "/d/file"], [], b""))
    assert len([*Path("/proc/self/fd").iterdir()]) <= before + 1
