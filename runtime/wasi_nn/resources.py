"""What the two ABIs of components share: resources of the host, results, and what happens to an exception.

A resource of a component is a handle that wasmtime checks, so a guest cannot forge one. Its representation, a number of
the host, is the handle in the session. A borrowed resource must be given back before the call returns; otherwise
wasmtime stops the guest.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtime.wasi_nn.faults import NnError, fault_of
from runtime.wasi_nn.session import NnSession

if TYPE_CHECKING:
    from wasmtime import StoreContext
    from wasmtime.component import LinkerInstance, ResourceAny, ResourceHost

OK: Final = "ok"
ERR: Final = "err"


def representation(resource: "ResourceAny", store: "StoreContext") -> int:
    """Return the handle in the session of a resource that the guest passes; this gives a borrowed resource back."""
    return resource.to_host(store).rep


def owned(handle: int, kind: int) -> "ResourceHost":
    """Return a resource for the guest, which owns it."""
    from wasmtime.component import ResourceHost

    return ResourceHost.own(handle, kind)


def add_resource(linker: "LinkerInstance", name: str, kind: int, drop: Callable[[int], object]) -> None:
    """Define a resource type of the host. `kind` is its number, of which each resource type of a linker has another."""
    from wasmtime.component import ResourceType

    def dropped(_: "StoreContext", handle: int) -> None:
        try:
            drop(handle)
        except Exception as error:  # noqa: BLE001 - the resource was taken before, or the session is closed
            if not isinstance(error, NnError):
                fault_of(error)

    linker.add_resource(name, ResourceType.host(kind), dropped)


def answering(
    nn: NnSession, call: Callable[..., Any], refuse: Callable[[NnError], object], *, tagged: bool
) -> Callable[..., Any]:
    """Return the function of the host for a call whose result is a value or an error; it raises nothing.

    `refuse` returns the error of the ABI. `tagged`: value and error have the same type in Python.
    """

    def answer(store: "StoreContext", *arguments: Any) -> Any:  # noqa: ANN401 - the values of any function
        try:
            value, tag = call(store, *arguments), OK
        except Exception as error:  # noqa: BLE001 - see `trapping`
            fault = fault_of(error)
            nn.report(fault)
            value, tag = trapping(refuse)(fault), ERR
        if not tagged:
            return value
        from wasmtime.component import Variant

        return Variant(tag, value)

    return answer


def trapping(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of the host for a call that has no result for an error: the guest is stopped.

    An exception of another class would pass through a variable that all instances of the process share, and could
    reach another guest.
    """

    def called(*arguments: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return call(*arguments)
        except Exception as error:  # noqa: BLE001 - as above
            from wasmtime import WasmtimeError

            raise WasmtimeError(fault_of(error).message) from None

    return called
