"""The candidates of one attempt to load a model: each is pulled and opened, until one can be served.

    choose ──► pull the first candidate ──► open it ──► serve it
                  │ refused                    │ refused
                  └──► the next candidate ◄────┘

A refusal is a fact that a second attempt would meet again: the object is missing or not allowed, its digest or its file
is wrong, the provider is not there, the disk has no room for it. An unreachable store is none: the attempt fails, and
the next attempt begins with the first candidate. The last candidate is the artifact itself, whose error is that of the
attempt.
"""

import logging
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.fetch import Artifact, fetch, parse_digest
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import VERSION_QUERY, parse_uri
from runtime.errors import (
    AccessDenied,
    ArtifactMissing,
    ArtifactTooLarge,
    DigestMismatch,
    DiskFull,
    InvalidModel,
    ModelUnavailable,
    ProviderUnavailable,
    ScalezeroError,
)
from runtime.settings import Settings
from runtime.variants.choosing import AUTO, LoadCandidate, LoadOrder, Passed, Serving
from runtime.variants.names import CPU_PROVIDER, ORIGINAL

if TYPE_CHECKING:
    from runtime.published.serving import PublishedVariants
    from runtime.variants.pinned import PinnedModel

_log = logging.getLogger("scalezero.model")
_REFUSALS: Final = (
    AccessDenied,
    ArtifactMissing,
    ArtifactTooLarge,
    DigestMismatch,
    DiskFull,
    InvalidModel,
    ProviderUnavailable,
)


class Pulled(NamedTuple):
    """A candidate that is pulled, and the way to the next one."""

    artifact: Artifact
    serving: Serving = Serving()
    pull_next: "Callable[[Exception], Pulled] | None" = (
        None  # after this refusal of the candidate; None: it is the last
    )


def is_refusal(error: Exception) -> bool:
    """Return whether an error of the opening of a candidate is a reason to try the next one.

    An exception that is not one of ours comes from a library, such as a provider that panics.
    """
    return isinstance(error, _REFUSALS) or not isinstance(error, ScalezeroError)


def puller(uri: str, settings: Settings) -> Callable[[], Pulled]:
    """Return the function that pulls the model at `uri`: the first candidate that is not refused.

    It raises the errors of `fetch`, and `BadSetting` if SCALEZERO_VARIANT names a variant that the model does not have.
    """
    return partial(_pull, uri, settings)


def _pull(uri: str, settings: Settings) -> Pulled:
    until = perf_counter() + settings.load_timeout
    published = _read_published(uri, settings)
    order = _choose(uri, settings, published)
    attempt = _Attempt(uri, settings, order, until, published.version if published else None)
    return attempt.pull(0, ())


def _read_published(uri: str, settings: Settings) -> "PublishedVariants | None":
    if settings.manifest != "read" or settings.variants is not None or settings.variant == ORIGINAL:
        return None
    from runtime.published import serving

    return serving.read(uri, _policy(settings, settings.load_timeout))


def _choose(uri: str, settings: Settings, published: "PublishedVariants | None") -> LoadOrder:
    pinned = published.pinned if published else settings.variants and _pins_of(settings.variants, uri)
    if pinned is not None and not _is_required(pinned, uri, settings.model_sha256):
        pinned = None
    if pinned is None and settings.variant in {AUTO, ORIGINAL}:
        return LoadOrder()
    return _choose_among(pinned or _only_original(uri), settings.variant)


def _choose_among(pinned: "PinnedModel", wanted: str) -> LoadOrder:
    from runtime.model import providers
    from runtime.variants.choosing import choose
    from runtime.variants.cpu_class import cpu_class

    return choose(pinned, cpu_class=cpu_class(), version_of=providers.version_of, wanted=wanted)


def _pins_of(pinned: "PinnedModel", uri: str) -> "PinnedModel | None":
    """Return the pinned variants if they are those of this artifact: a process may serve others too."""
    pinned_uri, own = (parse_uri(each.partition(VERSION_QUERY)[0]) for each in (pinned.original.uri, uri))
    return pinned if pinned_uri == own else None


def _is_required(pinned: "PinnedModel", uri: str, required: str | None) -> bool:
    """Return whether the variants were made from the file that SCALEZERO_MODEL_SHA256 requires; log it if not."""
    made_from, digest = pinned.original.sha256, parse_digest(required)
    if digest in {None, made_from}:
        return True
    reason = f"they are those of a file with the SHA-256 {made_from}; SCALEZERO_MODEL_SHA256 is {digest}"
    _log.warning("variants ignored", extra={"uri": uri, "reason": reason})
    return False


def _only_original(uri: str) -> "PinnedModel":
    from runtime.variants.pinned import PinnedModel, PinnedVariant

    return PinnedModel((PinnedVariant(ORIGINAL, CPU_PROVIDER, None, uri, ""),))


class _Attempt(NamedTuple):
    """One attempt to load a model; `until` is on the clock of `perf_counter`."""

    uri: str
    settings: Settings
    order: LoadOrder
    until: float
    version: str | None  # the version that the manifest states

    def pull(self, place: int, passed: tuple[Passed, ...]) -> Pulled:
        """Pull the candidate at `place`, or the first after it that is not refused."""
        candidate = self.order.candidates[place]
        is_last = place + 1 == len(self.order.candidates)
        try:
            artifact = self._fetch(candidate)
        except _REFUSALS as error:
            if is_last:
                raise
            return self._pull_next(place, passed, error)
        sha256 = self.order.artifact_sha256 if candidate.uri else None
        serving = Serving(candidate, self.order.reason, passed, sha256)
        return Pulled(artifact, serving, None if is_last else partial(self._pull_next, place, passed))

    def _pull_next(self, place: int, passed: tuple[Passed, ...], error: Exception) -> Pulled:
        candidate = self.order.candidates[place]
        refused = Passed(candidate.variant, candidate.prepared, _reason(error))
        _warn(self.uri, refused, self.order.candidates[place + 1], error)
        return self.pull(place + 1, (*passed, refused))

    def _fetch(self, candidate: LoadCandidate) -> Artifact:
        _require_provider(candidate.provider)
        settings, left = self.settings, self.until - perf_counter()
        if left <= 0:
            reason = f"SCALEZERO_LOAD_TIMEOUT ended before the variant {candidate.title} was pulled"
            raise ModelUnavailable(self.uri, reason)
        artifact = fetch(
            candidate.uri or self.uri,
            cache_dir=settings.cache_dir,
            sha256=candidate.sha256 if candidate.uri else settings.model_sha256,
            external=candidate.files,
            policy=_policy(settings, left),
        )
        if self.version is None:
            return artifact
        return artifact._replace(metadata={"version": self.version, **artifact.metadata})


def _require_provider(provider: str) -> None:
    """Raise `ProviderUnavailable` if it is not installed, before anything is pulled for it."""
    if provider == CPU_PROVIDER:
        return
    from runtime.model import providers

    if not providers.is_installed(provider):
        raise ProviderUnavailable(provider, "it is not installed")


def _policy(settings: Settings, deadline: float) -> PullPolicy:
    return PullPolicy(stall_timeout=settings.stall_timeout, deadline=deadline, max_bytes=settings.max_artifact_bytes)


def _reason(error: Exception) -> str:
    """Return the error's text for operators and callers; that of a library may contain paths."""
    return error.message if isinstance(error, ScalezeroError) else f"{type(error).__name__} while it was opened"


def _warn(uri: str, passed: Passed, following: LoadCandidate, error: Exception) -> None:
    facts = {
        "uri": uri,
        "variant": passed.variant,
        "prepared": passed.prepared,
        "reason": passed.reason,
        "next": following.title,
    }
    unexpected = None if isinstance(error, ScalezeroError) else error
    _log.warning("variant not served; the next one is tried", extra=facts, exc_info=unexpected)
