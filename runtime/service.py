"""The composition root: settings -> pull -> session -> batcher -> predictor, opened once per process, after any fork.

begin(settings)     on the main thread, first of all: the pull starts beside the imports
Service.open()      on the event loop: the model is prefetched, or waits for its first request
Service.close()     what is queued is finished
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from runtime.artifacts.fetch import Artifact, check, fetch
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import MODEL_SUFFIXES, parse_uri
from runtime.errors import BadSetting, ScalezeroError, UnknownModel
from runtime.served_model import ProcessStart, Pull, ServedModel
from runtime.settings import SEGMENT, Settings, is_segment


def fetcher(uri: str, settings: Settings) -> Callable[[], Artifact]:
    """What pulls the model at that URI, as the settings say."""
    policy = PullPolicy(
        stall_timeout=settings.stall_timeout,
        deadline=settings.load_timeout,
        max_bytes=settings.max_artifact_bytes,
    )
    return partial(fetch, uri, cache_dir=settings.cache_dir, sha256=settings.model_sha256, policy=policy)


def begin(settings: Settings) -> Pull | None:
    """Start the pull, where it is not to wait for the first request.

    Raises `BadSetting` where what is to be served cannot be there: a start that can never serve must not look like one.
    """
    _check_places(settings)
    if settings.model_uri and settings.load == "prefetch":
        return Pull(fetcher(settings.model_uri, settings))
    return None


def name_of(uri: str) -> str:
    """The model's name in the URLs, where no setting gives one: the file's name without its suffix."""
    place = parse_uri(uri)
    file = place.name if isinstance(place, Path) else place.key.rpartition("/")[2]
    stem, dot, suffix = file.rpartition(".")
    return stem if stem and dot + suffix in MODEL_SUFFIXES else file


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
    if uri and isinstance(place := parse_uri(uri), Path) and not place.is_file():
        raise BadSetting("SCALEZERO_MODEL_URI", value=uri, allowed="an ONNX file or a function's folder that is there")
    if not uri and not source:
        raise BadSetting(
            "SCALEZERO_MODEL_URI", value=None, allowed="a model to serve, or a function in FUNCTION_SOURCE"
        )


class Service:
    """The models of one process. Everything in it lives on one event loop."""

    def __init__(self, settings: Settings, *, process_started: float, pull: Pull | None = None) -> None:
        """`process_started` is on `perf_counter`'s clock; `pull` is what `begin` started."""
        self.settings = settings
        self.models: dict[str, ServedModel] = {}
        self.hopeless: ScalezeroError | None = None  # why this process ends before it ever answered
        self.end: Callable[[], None] | None = None  # ends the process in order; None: it is not ours to end
        self._process_started = process_started
        self._pull = pull

    async def open(self) -> None:
        """Take up the models, and begin to load what is to be loaded without being asked."""
        settings = self.settings
        if not settings.model_uri:
            return
        process = ProcessStart(self._process_started, imported=perf_counter())
        name = settings.model_name or name_of(settings.model_uri)
        served = ServedModel(name, settings, fetcher(settings.model_uri, settings), process)
        self.models[served.name] = served
        if self._pull:
            served.prefetch(self._pull, self.gives_up)

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
        """Finish what is queued and in flight, in so many seconds (None: the grace period)."""
        await asyncio.gather(*(served.close(within=within) for served in self.models.values()))

    def model(self, name: str, version: str | None = None) -> ServedModel:
        """The model of that name, in that version if one is asked for.

        Raises `UnknownModel`, listing those that are served.
        """
        served = self.models.get(name)
        if served is None or (version is not None and version != served.version):
            raise UnknownModel(name, list(self.models), version=version)
        return served

    def answered(self, protocol: str, code: str, seconds: float) -> None:
        """Count an answer that belongs to no one model under each of them."""
        for served in self.models.values():
            served.measurements.answered(protocol, code, seconds)

    def stuck(self) -> str | None:
        """Why this process will not recover by itself: a run does not end, whatever is done. None: all is well."""
        ready = (served.ready for served in self.models.values())
        return next((model.batcher.stuck for model in ready if model and model.batcher.stuck), None)

    @property
    def version(self) -> str | None:
        """The model version that this process serves, once it is known."""
        return next((served.version for served in self.models.values()), None)

    @property
    def loaded(self) -> bool:
        """Whether every model answers."""
        return all(served.ready for served in self.models.values())

    def unready(self) -> Sequence[ServedModel]:
        """The models that keep this process from taking traffic: those prefetched that do not answer yet.

        A lazy one waits for its first request, which could never come if it kept the traffic away.
        """
        return [served for served in self.models.values() if self._pull and not served.ready]
