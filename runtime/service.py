"""The composition root: settings -> pull -> session -> batcher -> predictor, opened once per process, after any fork.

begin(settings)     on the main thread, first of all: the pull starts beside the imports
Service.open()      on the event loop: the model is prefetched, or waits for its first request
Service.close()     what is queued is finished
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from runtime.artifacts.fetch import Artifact, check, fetch
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import is_archive, is_unpacked, model_name, parse_uri
from runtime.background import Background
from runtime.configuration.values import SEGMENT, is_segment
from runtime.errors import BadSetting, ScalezeroError
from runtime.models import Models
from runtime.served_model import ProcessStart, Pull, ServedModel
from runtime.settings import Settings
from runtime.sinks import Sinks
from runtime.stores import version_folders

_log = logging.getLogger("scalezero.service")
_LAST_MOMENT: Final = 0.1  # seconds in which cancelled tasks may end when the grace period is over


def fetcher(uri: str, settings: Settings) -> Callable[[], Artifact]:
    """What pulls the model at that URI, as the settings say."""
    policy = PullPolicy(
        stall_timeout=settings.stall_timeout,
        deadline=settings.load_timeout,
        max_bytes=settings.max_artifact_bytes,
    )
    return partial(fetch, uri, cache_dir=settings.cache_dir, sha256=settings.model_sha256, policy=policy)


def begin(settings: Settings) -> "list[Start]":
    """Decide what is served from the start, and begin the pulls that are not to wait for the first request.

    Raises `BadSetting` where what is to be served cannot be there: a start that can never serve must not look like one.
    """
    wanted = _wanted(settings)
    for each in wanted:
        _check_places(each)
    return [_started(each) for each in wanted if each.model_uri]


def has_model(settings: Settings) -> bool:
    """Whether the settings say of any model that it is to be served."""
    named = settings.model_uri is not None or settings.model_store is not None
    return named or version_folders.is_asked_for(settings)


def _wanted(settings: Settings) -> list[Settings]:
    """The settings of each model version that is to be served; where there is none, those of the process."""
    if settings.model_uri:
        return [settings]
    if version_folders.is_asked_for(settings):
        return version_folders.versions_of(settings)
    if settings.model_store:
        from runtime.stores import model_store

        return model_store.starts(settings) or [settings]
    return [settings]


def _started(settings: Settings) -> "Start":
    prefetched = settings.model_uri and settings.load == "prefetch"
    return Start(settings, Pull(fetcher(str(settings.model_uri), settings)) if prefetched else None)


def name_of(uri: str) -> str:
    """The model's name in the URLs, where no setting gives one: what a local archive says, else the file's name.

    The file's name counts without its suffix. What an archive in S3 says is not known before it is pulled.
    """
    place = parse_uri(uri)
    if isinstance(place, Path) and (is_unpacked(place) or (is_archive(place.name) and place.is_file())):
        from runtime.artifacts.archive import name_in

        said = name_in(place)
        if said is not None and is_segment(said):
            return said
    return model_name(place)


def _check_places(settings: Settings) -> None:
    source, uri = settings.function_source, settings.model_uri
    if source and not source.is_file():
        raise BadSetting("FUNCTION_SOURCE", value=str(source), allowed="a Python file that is there")
    if uri and not settings.model_name and not is_segment(name_of(uri)):
        raise BadSetting(
            "SCALEZERO_MODEL_NAME", value=None, allowed=f"{SEGMENT}; the file's name {name_of(uri)!r} is none"
        )
    if uri:
        check(uri, cache_dir=settings.cache_dir, sha256=settings.model_sha256)
    if uri and isinstance(place := parse_uri(uri), Path) and not (place.is_file() or is_unpacked(place)):
        allowed = "an ONNX file, a model archive or a function's folder that is there"
        raise BadSetting("SCALEZERO_MODEL_URI", value=uri, allowed=allowed)
    if not uri and not source and not settings.model_store:
        raise BadSetting(
            "SCALEZERO_MODEL_URI",
            value=None,
            allowed="a model to serve, a folder of versions in MODEL_BASE_PATH, or a function in FUNCTION_SOURCE",
        )


class Start(NamedTuple):
    """A model version to serve from the start: its settings, and the pull that has begun, if any."""

    settings: Settings
    pull: Pull | None = None


class Service:
    """The models of one process. Everything in it lives on one event loop."""

    def __init__(self, settings: Settings, *, process_started: float, starts: Sequence[Start] | None = None) -> None:
        """`process_started` is on `perf_counter`'s clock; `starts` is what `begin` gave, None: the settings' model."""
        self.settings = settings
        self.models = Models()
        self.background = Background()
        self.sinks = Sinks(self.background)
        self.on_change: list[Callable[[], None]] = []  # called when a model version comes or goes
        self.hopeless: ScalezeroError | None = None  # why this process ends before it ever answered
        self.end: Callable[[], None] | None = None  # ends the process in order; None: it is not ours to end
        self._process_started = process_started
        self._starts = [Start(settings)] if starts is None and settings.model_uri else starts or ()
        self._prefetched: set[ServedModel] = set()

    async def open(self) -> None:
        """Take up the models, and begin to load what is to be loaded without being asked."""
        process = ProcessStart(self._process_started, imported=perf_counter())
        if self.settings.model_uri and version_folders.is_asked_for(self.settings):
            _log.warning("a model URI is set and served; MODEL_BASE_PATH and MODEL_NAME are ignored")
        for start in self._starts:
            served = self._take_up(start.settings, process)
            if start.pull:
                self._prefetched.add(served)
                served.prefetch(start.pull, self.gives_up)

    def gives_up(self, error: ScalezeroError) -> bool:
        """Whether this process ends because of what kept it from being ready, which then begins.

        A revision whose pods stay is "deploying" until its deadline; of one whose process ends, Knative tells why.
        """
        if self.end is None or not error.lasting or self.settings.load_failure != "exit":
            return False
        self.hopeless = self.hopeless or error
        self.end()
        return True

    async def close(self, *, within: float | None = None) -> None:
        """Finish what is queued and in flight, in so many seconds (None: the grace period); then end all tasks."""
        until = perf_counter() + (self.settings.grace_period if within is None else within)
        await asyncio.gather(*(served.close(within=until - perf_counter()) for served in self.models.served()))
        await self.sinks.drain(within=max(0.0, until - perf_counter()))
        await self.background.close(within=max(_LAST_MOMENT, until - perf_counter()))

    def add(self, settings: Settings) -> ServedModel:
        """Take up one more version of a model, with settings of its own; `load` or `prefetch` of the result loads it.

        Raises `VersionConflict`, and `BadSetting` for a URI that cannot be one.
        """
        now = perf_counter()
        return self._take_up(settings, ProcessStart(now, imported=now))

    async def bring(self, settings: Settings) -> ServedModel:
        """Load one more version of a model, and take it up once it answers. A default version stays the default.

        Raises `VersionConflict`, the `ModelUnavailable` errors, and `BadSetting` for a URI that cannot be one.
        """
        now = perf_counter()
        served = self._made(settings, ProcessStart(now, imported=now))
        try:
            await served.load()
            default = self.models[served.name].default if served.name in self.models else served
            self.models.add(served)
            self.models[served.name].keep(default)
        except BaseException:
            await served.close(within=0.0)
            raise
        self._changed()
        return served

    async def remove(self, name: str, version: str | None = None) -> ServedModel:
        """Let a version go (None: the default). Later requests do not find it; those that it has are finished.

        Raises `UnknownModel` and `UnknownVersion`.
        """
        served = self.models.remove(name, version)
        self._prefetched.discard(served)
        self._changed()
        await served.close()
        return served

    def set_default(self, name: str, version: str) -> None:
        """Make a version the one that requests without a version get. Raises `UnknownModel` and `UnknownVersion`."""
        self.models.find(name, version)
        self.models[name].set_default(version)
        self._changed()

    def model(self, name: str, version: str | int | None = None) -> ServedModel:
        """The model of that name, in the version of that text or number if one is asked for, else in its default one.

        A model whose only version is not known before it is loaded is found under any: ask again once it is.
        Raises `UnknownModel` and `UnknownVersion`, listing what is served.
        """
        return self.models.find(name, version)

    def title(self, served: ServedModel) -> str:
        """What to call a version among those that are served: the model's name, where it has no other version."""
        several = len(self.models.versions(served.name)) > 1
        return f"{served.name} {served.version}" if several else served.name

    def answered(self, protocol: str, code: str, seconds: float) -> None:
        """Count an answer that belongs to no one model under the default version of each."""
        for versions in self.models.values():
            versions.default.measurements.answered(protocol, code, seconds)

    def stuck(self) -> str | None:
        """Why this process will not recover by itself: a run does not end, whatever is done. None: all is well."""
        ready = (served.ready for served in self.models.served())
        return next((model.batcher.stuck for model in ready if model and model.batcher.stuck), None)

    @property
    def version(self) -> str | None:
        """The model version that this process serves, once it is known; None where it serves several."""
        served = self.models.served()
        return served[0].version if len(served) == 1 else None

    @property
    def loaded(self) -> bool:
        """Whether every model answers."""
        return all(served.ready for served in self.models.served())

    def unready(self) -> Sequence[ServedModel]:
        """The models that keep this process from taking traffic: those prefetched that do not answer yet.

        A lazy one waits for its first request, which could never come if it kept the traffic away.
        """
        return [served for served in self._prefetched if not served.ready]

    def _made(self, settings: Settings, process: ProcessStart) -> ServedModel:
        uri = settings.model_uri or ""
        name = settings.model_name or name_of(uri)
        return ServedModel(name, settings, fetcher(uri, settings), process, self.background)

    def _take_up(self, settings: Settings, process: ProcessStart) -> ServedModel:
        served = self._made(settings, process)
        self.models.add(served)
        self._changed()
        return served

    def _changed(self) -> None:
        for tell in self.on_change:
            tell()
