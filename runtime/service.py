"""The composition root: settings -> pull -> session -> batcher -> predictor, opened once per process, after any fork.

begin(settings)     on the main thread, before anything else: starts the pull, which runs during the imports
Service.open()      on the event loop: prefetches the models, or leaves each to its first request
Service.close()     finishes the queued requests
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.fetch import check
from runtime.artifacts.uris import is_archive, is_unpacked, model_name, parse_uri
from runtime.background import Background
from runtime.configuration.values import SEGMENT, is_segment
from runtime.errors import BadSetting, ScalezeroError
from runtime.loading import puller
from runtime.models import Models
from runtime.served_model import ProcessStart, Pull, ServedModel
from runtime.settings import Settings
from runtime.sinks import Sinks
from runtime.stores import version_folders

if TYPE_CHECKING:
    from runtime.prediction_log.log import PredictionLog

_log = logging.getLogger("scalezero.service")
_CANCEL_TIMEOUT: Final = 0.1  # seconds for cancelled tasks to end after the grace period


def begin(settings: Settings) -> "list[Start]":
    """Return the model versions to serve from the start, and start the pulls of those with `load` `prefetch`.

    Raises `BadSetting` if a model or function cannot exist, so that a process which can never serve does not start.
    """
    versions = _versions_to_serve(settings)
    for each in versions:
        _check_model(each, settings)
    if settings.prediction_log:
        from runtime.prediction_log.targets import check_target

        check_target(settings)
    return [_start_of(each) for each in versions if each.model_uri]


def has_model(settings: Settings) -> bool:
    """Return whether the settings name a model to serve."""
    named = settings.model_uri is not None or settings.model_store is not None
    return named or bool(settings.companions) or version_folders.is_configured(settings)


def _versions_to_serve(settings: Settings) -> list[Settings]:
    """Return the settings of each model version to serve; if there is none, those of the process."""
    if settings.model_uri or settings.companions:
        return [settings, *_companions(settings)]
    if version_folders.is_configured(settings):
        return version_folders.versions_of(settings)
    if settings.model_store:
        from runtime.stores import model_store

        return model_store.startup_settings(settings) or [settings]
    return [settings]


def _companions(settings: Settings) -> list[Settings]:
    if not settings.companions:
        return []
    from runtime.stores.companions import settings_of_companions

    uri = settings.model_uri
    return list(settings_of_companions(settings, (settings.model_name or name_of(uri)) if uri else None))


def _start_of(settings: Settings) -> "Start":
    prefetched = settings.model_uri and settings.load == "prefetch"
    return Start(settings, Pull(puller(str(settings.model_uri), settings)) if prefetched else None)


def name_of(uri: str) -> str:
    """Return the model's name in the URLs if no setting has one: the name in a local archive, else the file's name.

    The file's name is used without its suffix. The name in an archive in S3 is not known before the archive is pulled.
    """
    place = parse_uri(uri)
    if isinstance(place, Path) and (is_unpacked(place) or (is_archive(place.name) and place.is_file())):
        from runtime.artifacts.archive import archived_model_name

        declared = archived_model_name(place)
        if declared is not None and is_segment(declared):
            return declared
    return model_name(place)


def _check_model(settings: Settings, process: Settings) -> None:
    """Check what a model is served from. The error of a companion has its name and its setting."""
    try:
        _check_sources(settings)
    except BadSetting as error:
        if settings.model_name not in {each.name for each in process.companions}:
            raise
        allowed = f"{error.details['allowed']}, as the uri of {settings.model_name}"
        raise BadSetting("SCALEZERO_COMPANIONS", value=settings.model_uri, allowed=allowed) from error


def _check_sources(settings: Settings) -> None:
    source, uri = settings.function_source, settings.model_uri
    if source and not source.is_file():
        raise BadSetting("FUNCTION_SOURCE", value=str(source), allowed="a Python file that exists")
    if settings.guest_uri:
        _check_guest(settings.guest_uri, settings)
    if settings.event_target and not source:
        allowed = f"a Python file with the function {settings.event_target!r}, which SCALEZERO_EVENT_TARGET names"
        raise BadSetting("FUNCTION_SOURCE", value=None, allowed=allowed)
    if uri and not settings.model_name and not is_segment(name_of(uri)):
        allowed = f"{SEGMENT}; the file's name {name_of(uri)!r} cannot be used as the model's name"
        raise BadSetting("SCALEZERO_MODEL_NAME", value=None, allowed=allowed)
    if uri:
        check(uri, cache_dir=settings.cache_dir, sha256=settings.model_sha256)
    if settings.variants is not None:
        _check_uri_of_variants(settings.variants.original.uri)
    if uri and isinstance(place := parse_uri(uri), Path) and not (place.is_file() or is_unpacked(place)):
        allowed = "an ONNX file, a model archive or a function's folder that exists"
        raise BadSetting("SCALEZERO_MODEL_URI", value=uri, allowed=allowed)
    if not uri and not settings.has_function and not settings.model_store:
        raise BadSetting(
            "SCALEZERO_MODEL_URI",
            value=None,
            allowed="a model to serve, a folder of versions in MODEL_BASE_PATH, or a function in FUNCTION_SOURCE",
        )


def _check_guest(uri: str, settings: Settings) -> None:
    if settings.function_source:
        allowed = (
            "no value, as SCALEZERO_GUEST_URI is the function; or a function in Python, without SCALEZERO_GUEST_URI"
        )
        raise BadSetting("FUNCTION_SOURCE", value=str(settings.function_source), allowed=allowed)
    place = parse_uri(uri)
    if not isinstance(place, Path):
        check(uri, cache_dir=settings.cache_dir, sha256=settings.guest_sha256)
    elif not place.is_file():
        raise BadSetting("SCALEZERO_GUEST_URI", value=uri, allowed="a WebAssembly file that exists")


def _check_uri_of_variants(uri: str) -> None:
    try:
        parse_uri(uri)
    except BadSetting as error:
        allowed = f"{error.details['allowed']}, as the uri of the variant original"
        raise BadSetting("SCALEZERO_VARIANTS", value=uri, allowed=allowed) from error


class Start(NamedTuple):
    """A model version to serve from the start: its settings, and its pull if it has started."""

    settings: Settings
    pull: Pull | None = None


class Service:
    """The models of one process, used on one event loop."""

    def __init__(self, settings: Settings, *, process_started: float, starts: Sequence[Start] | None = None) -> None:
        """Create the service; `process_started` is on the clock of `perf_counter`.

        `starts` is the result of `begin`; None: the main model of the settings and its companions.
        """
        self.settings = settings
        self.models = Models()
        self.unlisted: set[ServedModel] = set()  # models without a name for requests: those that guests passed
        self.background = Background()
        self.sinks = Sinks(self.background)
        self.prediction_log: PredictionLog | None = None
        self.on_change: list[Callable[[], None]] = []  # called when a model version is added or removed
        self.fatal_error: ScalezeroError | None = None  # why this process ends before it was ready
        self.fatal_reason = ""  # the same as text, with the model's name if there are several
        self.end: Callable[[], None] | None = (
            None  # shuts the process down; None: the process belongs to another server
        )
        self._process_started = process_started
        if starts is None and settings.model_uri:
            starts = [Start(each) for each in (settings, *_companions(settings))]
        self._starts = starts or ()
        self._main: str | None = None
        self._prefetched: set[ServedModel] = set()

    async def open(self) -> None:
        """Add the models, and start to load those that do not wait for a request."""
        process = ProcessStart(self._process_started, imported=perf_counter())
        if self.settings.prediction_log:
            self._open_log()
        if self.settings.model_uri and version_folders.is_configured(self.settings):
            _log.warning("SCALEZERO_MODEL_URI is set, so MODEL_BASE_PATH and MODEL_NAME are ignored")
        for start in self._starts:
            served = self._add(start.settings, process)
            if self.settings.companions and self._main is None:
                self._main = served.name  # the main model is the first
            if start.pull:
                self._prefetched.add(served)
                served.prefetch(start.pull, partial(self.end_if_permanent, model=served.name))

    def _open_log(self) -> None:
        from runtime.prediction_log.opening import open_log

        self.prediction_log = open_log(self.settings)
        if self.prediction_log is not None:
            self.sinks.add(self.prediction_log)

    def end_if_permanent(self, error: ScalezeroError, *, model: str | None = None) -> bool:
        """End the process if the error is permanent and `SCALEZERO_LOAD_FAILURE` is `exit`; return whether it ends.

        `model` is the name of the model that cannot be loaded. While the pods of a revision run, Knative reports it as
        "deploying" until its deadline. If a process ends, Knative reports the reason.
        """
        if self.end is None or not error.permanent or self.settings.load_failure != "exit":
            return False
        if self.fatal_error is None:
            self.fatal_error = error
            self.fatal_reason = f"{model}: {error}" if model and len(self.models) > 1 else str(error)
        self.end()
        return True

    async def close(self, *, within: float | None = None) -> None:
        """Finish all requests within this many seconds (None: the grace period), then cancel all background tasks."""
        until = perf_counter() + (self.settings.grace_period if within is None else within)
        await asyncio.gather(*(served.close(within=until - perf_counter()) for served in self.models.served()))
        await self.sinks.drain(within=max(0.0, until - perf_counter()))
        await self.background.close(within=max(_CANCEL_TIMEOUT, until - perf_counter()))

    def add(self, settings: Settings) -> ServedModel:
        """Add a version of a model, with its own settings; `load` or `prefetch` of the result loads it.

        Raises `VersionConflict`, and `BadSetting` for an invalid URI.
        """
        now = perf_counter()
        return self._add(settings, ProcessStart(now, imported=now))

    async def load_and_add(self, settings: Settings) -> ServedModel:
        """Load a version of a model, and add it when it is ready. The model's default version does not change.

        Raises `VersionConflict`, the `ModelUnavailable` errors, and `BadSetting` for an invalid URI.
        """
        now = perf_counter()
        served = self._new_model(settings, ProcessStart(now, imported=now))
        try:
            await served.load()
            default = self.models[served.name].default if served.name in self.models else served
            self.models.add(served)
            self.models[served.name].pin_default(default)
        except BaseException:
            await served.close(within=0.0)
            raise
        self._changed()
        return served

    async def remove(self, name: str, version: str | None = None) -> ServedModel:
        """Remove a version (None: the default). Later requests do not find it; its current requests are finished.

        Raises `UnknownModel` and `UnknownVersion`.
        """
        served = self.models.remove(name, version)
        self._prefetched.discard(served)
        self._changed()
        await served.close()
        return served

    def set_default(self, name: str, version: str) -> None:
        """Set the version for requests that name none. Raises `UnknownModel` and `UnknownVersion`."""
        self.models.find(name, version)
        self.models[name].set_default(version)
        self._changed()

    def model(self, name: str, version: str | int | None = None) -> ServedModel:
        """Return a model in a version (its text or its number; None: the default).

        If the model has one version that is not known before it is loaded, any version finds it: call this again after
        loading. Raises `UnknownModel` and `UnknownVersion`, which list the served models or versions.
        """
        return self.models.find(name, version)

    def title(self, served: ServedModel) -> str:
        """Return the display name of a version: the model's name, and the version if the model has several."""
        several = len(self.models.versions(served.name)) > 1
        return f"{served.name} {served.version}" if several else served.name

    def answered(self, protocol: str, code: str, seconds: float) -> None:
        """Count an answer that belongs to no single model: under the main model, else under each model."""
        main = self.models.get(self._main) if self._main else None
        for versions in self.models.values() if main is None else [main]:
            versions.default.measurements.record_request(protocol, code, seconds)

    def stuck(self) -> str | None:
        """Return why this process must be restarted (a stopped run does not return); None: it is healthy."""
        ready = (served.ready for served in (*self.models.served(), *self.unlisted))
        return next((model.batcher.stuck for model in ready if model and model.batcher.stuck), None)

    @property
    def main(self) -> str | None:
        """The name of the main model, for requests that name none: that of the function, or the only model.

        None: there is no model, or there are several and none of them is the main model.
        """
        if self._main is not None and self._main in self.models:
            return self._main
        return self.models.only

    @property
    def version(self) -> str | None:
        """The version of the main model; None: it has several, it is not known yet, or there is no main model."""
        main = self.models.get(self.main) if self.main else None
        return main.default.version if main and len(main) == 1 else None

    @property
    def loaded(self) -> bool:
        """Whether every model is ready."""
        return all(served.ready for served in self.models.served())

    def unready(self) -> Sequence[ServedModel]:
        """Return the models that keep this process from being ready for traffic: the prefetched ones still loading.

        A lazy model does not count: it loads at its first request, so the process must receive traffic before.
        """
        return [served for served in self._prefetched if not served.ready]

    def _new_model(self, settings: Settings, process: ProcessStart) -> ServedModel:
        uri = settings.model_uri or ""
        name = settings.model_name or name_of(uri)
        return ServedModel(name, settings, puller(uri, settings), process, self.background)

    def _add(self, settings: Settings, process: ProcessStart) -> ServedModel:
        served = self._new_model(settings, process)
        self.models.add(served)
        self._changed()
        return served

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()
