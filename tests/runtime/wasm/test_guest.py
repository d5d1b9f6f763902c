"""A guest runs in a fresh instance for each call, within its limits; what it does wrong stays its own."""

import subprocess
import sys
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wasmtime
from wasmtime.component import Linker as ComponentLinker

from runtime.errors import FunctionFailed, FunctionTimedOut, GuestAnswerInvalid, GuestCrashed
from runtime.wasm import Limits
from runtime.wasm.code import compile_code
from runtime.wasm.engine import engine
from runtime.wasm.guest import Call, Guest
from runtime.wasm.linking import Extensions
from tests import ROOT, guests

MIB = 2**20
LIMITS = Limits(seconds=60, memory=4 * MIB, output=MIB)
SHORT = LIMITS._replace(seconds=0.2)
KINDS = pytest.mark.parametrize("echo", [guests.ECHO, guests.COMPONENT_ECHO], ids=["core", "component"])


def guest(text: str, limits: Limits = LIMITS, extensions: Extensions = ()) -> Guest:
    return Guest(compile_code(guests.binary(text), name="main.wasm"), limits, extensions=extensions)


def call(stdin: bytes = b"", **variables: str) -> Call:
    return Call(["main.wasm", "a=1"], list(variables.items()), stdin)


@KINDS
@pytest.mark.parametrize("body", [b"", b"hello", bytes(range(256)) * 1000])
def test_stdin_reaches_the_guest_and_stdout_is_returned(echo: str, body: bytes) -> None:
    assert guest(echo).run(call(body)) == guests.HEAD.encode() + body


def test_a_guest_gets_only_the_variables_and_the_arguments_of_its_call() -> None:
    output = guest(guests.ENVIRONMENT).run(call(PATH_INFO="/ä"))
    assert output.removeprefix(guests.HEAD.encode()).split(b"\0") == [
        "PATH_INFO=/ä".encode(),
        b"main.wasm",
        b"a=1",
        b"",
    ]


def test_each_call_has_a_fresh_instance() -> None:
    counting = guest(
        guests.command(
            "(i32.store8 (i32.const 1024) (i32.add (i32.load8_u (i32.const 1024)) (i32.const 1))) (call $head)",
            data="0",
        )
    )
    assert [counting.run(call()) for _ in range(3)] == [b"1"] * 3


@pytest.mark.parametrize("text", [guests.LOOP, guests.COMPONENT_LOOP], ids=["core", "component"])
def test_a_guest_that_loops_forever_is_stopped(text: str) -> None:
    with pytest.raises(FunctionTimedOut, match=r"this call of the guest took longer than 0\.2 s"):
        guest(text, SHORT).run(call())


def test_neighbours_are_served_while_a_guest_loops() -> None:
    looping, echoing = guest(guests.LOOP, LIMITS._replace(seconds=1)), guest(guests.ECHO)
    with ThreadPoolExecutor(2) as threads:
        stopped = threads.submit(looping.run, call())
        while not stopped.done():
            assert echoing.run(call(b"x")).endswith(b"x")
        assert isinstance(stopped.exception(), FunctionTimedOut)


@KINDS
def test_calls_run_on_several_threads(echo: str) -> None:
    shared = guest(echo)
    bodies = [str(number).encode() for number in range(64)]
    with ThreadPoolExecutor(8) as threads:
        outputs = list(threads.map(lambda body: shared.run(call(body)), bodies))
    assert outputs == [guests.HEAD.encode() + body for body in bodies]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (guests.TRAP, r"the guest stopped: wasm `unreachable` instruction executed; the server"),
        (guests.COMPONENT_TRAP, r"the guest stopped: wasm `unreachable` instruction executed; the server"),
        (guests.HUNGRY, r"unreachable.*; it had [\d.]+ MiB of memory of at most 4 MiB, the limit that SCALEZERO_GUEST"),
        (guests.RECURSION, "call stack exhausted"),
        (guests.exiting(3), "exit status 3; expected 0"),
        (guests.COMPONENT_ERROR, "exit status 1; expected 0"),
        (guests.command("(drop (i32.load (i32.const 2000000000)))"), "the guest stopped: memory fault|out of bounds"),
    ],
    ids=["trap", "component", "memory", "stack", "exit", "component-error", "wild-pointer"],
)
def test_a_guest_that_fails_is_reported_and_the_next_call_is_answered(text: str, reason: str) -> None:
    failing = guest(text)
    for _ in range(2):
        with pytest.raises(GuestCrashed, match=reason):
            failing.run(call())
    assert guest(guests.ECHO).run(call(b"x")).endswith(b"x")


def test_exit_status_0_is_the_end_of_a_call() -> None:
    assert guest(guests.exiting(0)).run(call()) == guests.HEAD.encode()


def test_a_guest_that_writes_without_end_is_stopped() -> None:
    with pytest.raises(GuestAnswerInvalid, match=f"size of stdout: got more; expected at most {MIB} bytes"):
        guest(guests.FLOOD).run(call())


# A component whose interface `wasi:cli/run` is an instance of these functions.
RUN = """
(component
  (core module $m (func (export "none") (result i32) (i32.const 0)) (memory (export "memory") 1)
    (func (export "one") (param i32) (result i32) (i32.const 0)))
  (core instance $c (instantiate $m))
  (func $ok (result (result)) (canon lift (core func $c "none")))
  (func $parameter (param "x" u32) (result (result)) (canon lift (core func $c "one")))
  (func $number (result u32) (canon lift (core func $c "none")))
  (func $value (result (result u32)) (canon lift (core func $c "none") (memory (core memory $c "memory"))))
  {}
  (export "wasi:cli/run@0.2.0" (instance $i)))
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(module)", "exports no function _start without parameters; expected a WASI command"),
        ('(module (func (export "_start") (param i32)))', "exports no function _start"),
        ('(module (memory 100) (func (export "_start")))', "memory minimum size of 100 pages exceeds memory limits"),
        ('(module (table 2000000 funcref) (func (export "_start")))', "exceeds table limits"),
        ('(module (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (func (export "_start")))', "memory count"),
        ('(module (memory 1 2 shared) (func (export "_start")))', "not valid WebAssembly"),
        ('(module (import "env" "f" (func)) (func (export "_start")))', "unknown import: `env::f`"),
        ('(module (func $f unreachable) (start $f) (func (export "_start")))', "cannot be instantiated.*unreachable"),
        (RUN.format("(instance $i)"), "has another type"),
        (RUN.format('(instance $i (export "walk" (func $ok)))'), "has another type"),
        (RUN.format('(instance $i (export "run" (core module $m)))'), "has another type"),
        (
            RUN.format('(instance $i (export "run" (func $parameter)))'),
            r"expected an interface with run: func\(\) -> r",
        ),
        (RUN.format('(instance $i (export "run" (func $number)))'), "has another type"),
        (RUN.format('(instance $i (export "run" (func $value)))'), "has another type"),
        ("(component)", r"it exports nothing; expected wasi:cli/run@0\.2\.0 or a later 0\.2 version"),
    ],
)
def test_a_guest_that_can_never_run_fails_at_the_start(text: str, reason: str) -> None:
    with pytest.raises(FunctionFailed, match=rf"the function in main\.wasm cannot be loaded: .*{reason}"):
        guest(text)


def test_a_guest_that_never_ends_its_start_is_stopped() -> None:
    with pytest.raises(FunctionFailed, match=r"took longer than 0\.2 s"):
        guest('(module (func $f (loop $l (br $l))) (start $f) (func (export "_start")))', SHORT)


def test_a_guest_has_no_files() -> None:
    """WASI's first preopened folder would be the descriptor 3; 8 is `badf`."""
    prestat = '(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))'
    asking = guests.command(
        """
        (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (call $prestat (i32.const 3) (i32.const 64))))
        (call $head)""",
        imports=prestat,
        data="?",
    )
    assert guest(asking).run(call()) == b"8"


class Counting:
    """An extension with a state of its own: `next` returns how often it was called."""

    created = closed = 0

    def __init__(self) -> None:
        type(self).created += 1
        self.calls = 0

    def next(self, *_: object) -> int:
        self.calls += 1
        return self.calls

    def add_to_linker(self, linker: wasmtime.Linker, imported: Container[tuple[str, str]]) -> None:
        assert ("host", "next") in imported
        linker.define_func("host", "next", wasmtime.FuncType([], [wasmtime.ValType.i32()]), self.next)

    def add_to_component_linker(self, linker: ComponentLinker) -> None:
        with linker.root() as root:
            root.add_func("next", self.next)

    def close(self) -> None:
        type(self).closed += 1


ASKING = guests.command(
    "(drop (call $next)) (i32.store8 (i32.const 1024) (i32.add (i32.const 48) (call $next))) (call $head)",
    imports='(import "host" "next" (func $next (result i32)))',
    data="?",
)
ASKING_COMPONENT = """
(component
  (import "next" (func $next (result u32)))
  (core func $lowered (canon lower (func $next)))
  (core module $main (import "host" "next" (func $next (result i32)))
    (func (export "run") (result i32) (i32.ne (call $next) (i32.const 1))))
  (core instance $main (instantiate $main (with "host" (instance (export "next" (func $lowered))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $interface (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $interface)))
"""


def test_each_instance_has_an_extension_of_its_own() -> None:
    asking = guest(ASKING, extensions=[Counting])
    before = Counting.created
    assert [asking.run(call()) for _ in range(3)] == [b"2"] * 3
    assert Counting.created == before + 3
    assert Counting.closed == Counting.created


def test_a_component_imports_from_an_extension() -> None:
    asking = guest(ASKING_COMPONENT, extensions=[Counting])
    assert [asking.run(call()) for _ in range(2)] == [b""] * 2, "the first call of each instance returns 1"


def test_a_guest_that_imports_only_wasi_creates_no_extension() -> None:
    before = Counting.created
    assert guest(guests.ECHO, extensions=[Counting]).run(call(b"x")).endswith(b"x")
    assert Counting.created == before


def test_a_watch_that_fails_does_not_stop_the_clock(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise OSError("bad file descriptor")

    with engine().running(broken), pytest.raises(FunctionTimedOut):
        guest(guests.LOOP, SHORT).run(call())
    assert "a guest could not be watched" in caplog.text


# Runs the guest in argv[1], and prints whether the half of wasmtime for components was imported.
RUNNING = """
import pathlib, sys
from runtime.wasi_nn import NnExtension
from runtime.wasm import Limits
from runtime.wasm.code import compile_code
from runtime.wasm.guest import Call, Guest
from tests.runtime.wasi_nn.doubling import Doubling
code = compile_code(pathlib.Path(sys.argv[1]).read_bytes(), name="main.wasm")
guest = Guest(code, Limits(60, 2**20, 2**20), extensions=[lambda: NnExtension(Doubling())])
assert guest.run(Call(["main.wasm"], [], b"")) == b"0"
print("wasmtime.component" in sys.modules)
"""


def test_a_core_module_does_not_import_what_components_need(tmp_path: Path) -> None:
    """That would take 10 ms of a cold start."""
    asking = guests.command(
        """
        (i32.store8 (i32.const 1024) (i32.add (i32.const 48)
          (call $load (i32.const 64) (i32.const 8) (i32.const 32))))
        (call $head)
        """,
        imports='(import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))',
        data="?",
        functions='(data (i32.const 64) "doubling")',
    )
    path = guests.write(tmp_path / "main.wasm", asking)
    done = subprocess.run([sys.executable, "-c", RUNNING, path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
