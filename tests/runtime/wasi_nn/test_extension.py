"""Each call of a guest has a session of its own, which ends with its instance."""

import gc
import weakref

import pytest

from runtime.errors import FunctionTimedOut, GuestCrashed, ScalezeroError
from runtime.wasi_nn import NnExtension
from runtime.wasi_nn.graphs import Graph
from runtime.wasm import Limits
from runtime.wasm.code import compile_code
from runtime.wasm.guest import Call, Guest
from tests import guests
from tests.runtime.wasi_nn.doubling import Doubling
from tests.waiting import DEADLINE

LIMITS = Limits(seconds=DEADLINE, memory=2**20, output=2**20)
IMPORT = '(import "wasi_ephemeral_nn" "load_by_name" (func $load (param i32 i32 i32) (result i32)))'
LOAD = "(if (call $load (i32.const 1024) (i32.const 8) (i32.const 64)) (then unreachable))"


class Watched(Doubling):
    """Knows which of its graphs are still held."""

    def __init__(self) -> None:
        super().__init__()
        self.graphs: list[weakref.ref[Graph]] = []

    def load_by_name(self, name: str) -> Graph:
        graph = Graph(name, (), ())
        self.graphs.append(weakref.ref(graph))
        return graph


@pytest.mark.parametrize(
    ("end", "error"),
    [("", None), ("unreachable", GuestCrashed), ("(loop $again (br $again))", FunctionTimedOut)],
    ids=["returns", "traps", "loops"],
)
def test_the_graphs_of_a_call_are_dropped_when_it_ends(end: str, error: type[ScalezeroError] | None) -> None:
    backend = Watched()
    code = compile_code(
        guests.binary(guests.command(f"{LOAD} {LOAD} {end}", imports=IMPORT, data="doubling")), name="main.wasm"
    )
    limits = LIMITS._replace(seconds=0.2) if error is FunctionTimedOut else LIMITS
    guest = Guest(code, limits, extensions=[lambda: NnExtension(backend)])
    call = Call(["main.wasm"], [], b"")
    gc.disable()  # the end of the session drops them, not the next collection
    try:
        for _ in range(3):
            if error is None:
                guest.run(call)
            else:
                with pytest.raises(error):
                    guest.run(call)
            assert backend.graphs
            assert [each() for each in backend.graphs] == [None] * len(backend.graphs)
    finally:
        gc.enable()
