"""The table of what one process serves: models by name, and the versions of each.

On Knative it holds one version, as a revision is a version. A local server may hold several of several models, and a
management API may add and remove them.
"""

from collections.abc import Iterator, Mapping

from runtime import versions
from runtime.errors import UnknownModel, UnknownVersion, VersionConflict
from runtime.served_model import ServedModel


class Versions:
    """The versions of one model, the highest first. One of them is the default: a request that names none gets it."""

    __slots__ = ("_chosen", "_served", "default", "name")

    def __init__(self, first: ServedModel) -> None:
        self.name = first.name
        self.default = first
        self._chosen = False  # the default was set, and is not simply the highest
        self._served = [first]

    def __iter__(self) -> Iterator[ServedModel]:
        """Visit the versions, the highest first."""
        return iter(self._served)

    def __len__(self) -> int:
        """Count the versions."""
        return len(self._served)

    def __getitem__(self, version: str) -> ServedModel:
        """Find a version; one that is not known before its model is loaded may be any. Raises `UnknownVersion`."""
        found = next((served for served in self._served if served.version in {version, None}), None)
        if found is None:
            raise UnknownVersion(self.name, version, self.names)
        return found

    @property
    def names(self) -> list[str]:
        """The versions as text, the highest first, as far as they are known."""
        return [served.version for served in self._served if served.version is not None]

    def numbered(self, number: int) -> ServedModel:
        """Find a version by its number; see `runtime.versions`. Raises `UnknownVersion`.

        0 is the default version where none has this number: ovmsclient sends it for a request that names no version.
        """
        version = versions.numbered(self.names, number)
        if version is None and not number:
            return self.default
        return self[str(number) if version is None else version]

    def add(self, served: ServedModel) -> None:
        """Add a version. Raises `VersionConflict` if it cannot be distinguished from a registered one."""
        version = served.version
        if version is None or None in {each.version for each in self._served}:
            raise VersionConflict(self.name, version, "a model with several versions needs the version of each stated")
        if version in self.names:
            raise VersionConflict(self.name, version, "it is served already")
        tie = versions.numbered(self.names, versions.number(version))
        if tie is not None:
            number = versions.number(version)
            raise VersionConflict(
                self.name, version, f"TensorFlow Serving's clients would know it and {tie!r} as {number}"
            )
        self._served = sorted(
            [*self._served, served], key=lambda each: versions.order(each.version or ""), reverse=True
        )
        self._choose()

    def remove(self, served: ServedModel) -> None:
        """Let a version go. Where it was the default, the highest one that is left is the default."""
        self._served.remove(served)
        self._chosen = self._chosen and served is not self.default
        self._choose()

    def set_default(self, version: str) -> None:
        """Make a version the default, whichever come later. Raises `UnknownVersion`."""
        self.keep(self[version])

    def keep(self, default: ServedModel) -> None:
        """Make a version that is here the default, whichever come later."""
        self.default = default
        self._chosen = True

    def _choose(self) -> None:
        if self._served and not self._chosen:
            self.default = self._served[0]


class Models(Mapping[str, Versions]):
    """All models of a process, by name."""

    def __init__(self) -> None:
        self._versions: dict[str, Versions] = {}

    def __getitem__(self, name: str) -> Versions:
        """Find a model. Raises `KeyError`; `find` tells callers."""
        return self._versions[name]

    def __contains__(self, name: object) -> bool:
        """Whether a model of that name is here."""
        return name in self._versions

    def __iter__(self) -> Iterator[str]:
        """Visit the names."""
        return iter(self._versions)

    def __len__(self) -> int:
        """Count the models."""
        return len(self._versions)

    def find(self, name: str, version: str | int | None) -> ServedModel:
        """Find a version of a model, by its text or its number (see `runtime.versions`); None: its default.

        A model from an archive is found by the name that the archive gives it too, and before that is known by any.
        Raises `UnknownModel` and `UnknownVersion`.
        """
        found = self._versions.get(name) or self._named_within(name)
        if found is None:
            raise UnknownModel(name, list(self._versions), version=None if version is None else str(version))
        if isinstance(version, int):
            return found.numbered(version)
        return found.default if version is None else found[version]

    def _named_within(self, name: str) -> Versions | None:
        return next((each for each in self._versions.values() if each.default.may_be_called(name)), None)

    def versions(self, name: str) -> list[str]:
        """The versions of a model, the highest first, as far as they are known; none where it is not here any more."""
        found = self._versions.get(name)
        return found.names if found else []

    def served(self) -> list[ServedModel]:
        """Every version of every model."""
        return [served for each in self._versions.values() for served in each]

    def add(self, served: ServedModel) -> None:
        """Take up a version of a model. Raises `VersionConflict`."""
        if served.name in self._versions:
            self._versions[served.name].add(served)
        else:
            self._versions[served.name] = Versions(served)

    def remove(self, name: str, version: str | None) -> ServedModel:
        """Let a version go (None: the default), and its model with the last one. Raises as `find` does."""
        served = self.find(name, version)
        self._versions[served.name].remove(served)
        if not self._versions[served.name]:
            del self._versions[served.name]
        return served
