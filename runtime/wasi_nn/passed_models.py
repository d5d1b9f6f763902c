"""The models that guests pass as bytes. They are no models of the process: no route, no list and no metrics has them.

One is opened once for all guests that pass the same bytes, and closed when others need its place and no guest uses it.
Used on the event loop only.
"""

import asyncio
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import WeakSet

from runtime.configuration.companions import Companions
from runtime.loading import Pulled, puller
from runtime.served_model import ProcessStart, ServedModel
from runtime.variants.names import ORIGINAL
from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.folders import Folder
from runtime.wasi_nn.graphs import Graph, ReadyGraph

if TYPE_CHECKING:
    from runtime.service import Service


class _Passed:
    """A model from bytes: its folder, and the graphs of the guests that use it."""

    def __init__(self, served: ServedModel, folder: Folder) -> None:
        self.served = served
        self.folder = folder
        self.graphs: WeakSet[ReadyGraph] = WeakSet()
        self.waiting = 0  # guests that wait until it is open


class PassedModels:
    """The models from bytes, by their digest."""

    def __init__(self, service: "Service", *, limit: int) -> None:
        """Open at most `limit` models at a time, with the settings of the service."""
        self._service = service
        self._limit = limit
        self._open: dict[str, _Passed] = {}  # the least recently used first

    async def close(self) -> None:
        """Close all models; a later load opens them again."""
        while self._open:
            _, passed = self._open.popitem()
            await self._close(passed, within=0.0)

    async def load(self, digest: str, model: bytes) -> Graph:
        """Return a graph of the model with this digest. Raises the errors of a load, and `NnError` (busy)."""
        passed = self._open.pop(digest, None)
        if passed is None:
            await self._make_room()
            passed = self._open.get(digest) or self._new_model(digest, model)
        self._open[digest] = passed  # the most recently used one
        passed.waiting += 1
        try:
            graph = ReadyGraph(await passed.served.load())
        finally:
            passed.waiting -= 1
            if not (passed.served.ready or passed.waiting) and self._open.get(digest) is passed:
                await self._close(self._open.pop(digest))
        passed.graphs.add(graph)
        return graph

    def _new_model(self, digest: str, model: bytes) -> _Passed:
        """Return a model that is written, when it is pulled, to a folder of its own: it has no external data."""
        settings, now = self._service.settings, perf_counter()
        folder = Folder(settings.cache_dir)
        path = folder.path / f"{digest}.onnx"
        own = replace(
            settings,
            model_uri=str(path),
            model_name=f"wasi-nn-{digest[:12]}",
            model_version=None,
            model_sha256=None,
            variants=None,
            variant=ORIGINAL,
            companions=Companions(),
        )
        written = [model]
        pull_file = puller(str(path), own)

        def pull() -> Pulled:
            if written:
                folder.write(path, written.pop())
            return pull_file()

        start = ProcessStart(now, imported=now)
        served = ServedModel(str(own.model_name), own, pull, start, self._service.background)
        self._service.unlisted.add(served)
        return _Passed(served, folder)

    async def _make_room(self) -> None:
        """Close the least recently used model that no guest uses. Raises `NnError` (busy) if there is none."""
        while len(self._open) >= self._limit:
            free = (digest for digest, each in self._open.items() if not each.graphs and not each.waiting)
            digest = next(free, None)
            if digest is None:
                message = f"guests use {len(self._open)} models from bytes; expected at most {self._limit}"
                raise NnError(Code.BUSY, f"{message}; load a model of the process by its name, or try again")
            await self._close(self._open.pop(digest))

    async def _close(self, passed: _Passed, *, within: float | None = None) -> None:
        await passed.served.close(within=within)
        self._service.unlisted.discard(passed.served)
        await asyncio.to_thread(passed.folder.remove)
