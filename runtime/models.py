"""The models that one process serves, by name, and the versions of each.

On Knative there is one version, because a revision is one version. A local server may have several models and versions,
and a management API may add and remove them.
"""

from collections.abc import Iterator, Mapping

from runtime import versions
from runtime.errors import UnknownModel, UnknownVersion, VersionConflict
from runtime.served_model import ServedModel


class Versions:
    """The versions of one model, the highest first. One is the default, for requests that name no version."""

    __slots__ = ("_pinned", "_served", "default", "name")

    def __init__(self, first: ServedModel) -> None:
        self.name = first.name
        self.default = first
        self._pinned = False  # the default was set explicitly; otherwise it is the highest version
        self._served = [first]

    def __iter__(self) -> Iterator[ServedModel]:
        """Iterate over the versions, the highest first."""
        return iter(self._served)

    def __len__(self) -> int:
        """Return the number of versions."""
        return len(self._served)

    def __getitem__(self, version: str) -> ServedModel:
        """Find a version; a version that is not known before loading matches any name. Raises `UnknownVersion`."""
        found = next((served for served in self._served if served.version in {version, None}), None)
        if found is None:
            raise UnknownVersion(self.name, version, self.names)
        return found

    @property
    def names(self) -> list[str]:
        """The known versions as text, the highest first."""
        return [served.version for served in self._served if served.version is not None]

    def with_number(self, number: int) -> ServedModel:
        """Find a version by its number; see `runtime.versions`. Raises `UnknownVersion`.

        If no version has the number 0, it is the default version: ovmsclient sends 0 for a request without a version.
        """
        version = versions.with_number(self.names, number)
        if version is None and not number:
            return self.default
        return self[str(number) if version is None else version]

    def add(self, served: ServedModel) -> None:
        """Add a version. Raises `VersionConflict` if it cannot be distinguished from a registered one."""
        version = served.version
        if version is None or None in {each.version for each in self._served}:
            raise VersionConflict(self.name, version, "if a model has several versions, each must be stated")
        if version in self.names:
            raise VersionConflict(self.name, version, "it is already served")
        tie = versions.with_number(self.names, versions.number(version))
        if tie is not None:
            number = versions.number(version)
            raise VersionConflict(
                self.name, version, f"for clients of TensorFlow Serving, it and {tie!r} have the same number, {number}"
            )
        self._served = sorted(
            [*self._served, served], key=lambda each: versions.order(each.version or ""), reverse=True
        )
        self._update_default()

    def remove(self, served: ServedModel) -> None:
        """Remove a version. If it was the default, the highest remaining version becomes the default."""
        self._served.remove(served)
        self._pinned = self._pinned and served is not self.default
        self._update_default()

    def set_default(self, version: str) -> None:
        """Make a version the default, also if higher versions are added later. Raises `UnknownVersion`."""
        self.pin_default(self[version])

    def pin_default(self, default: ServedModel) -> None:
        """Make a version of this model the default, also if higher versions are added later."""
        self.default = default
        self._pinned = True

    def _update_default(self) -> None:
        if self._served and not self._pinned:
            self.default = self._served[0]


class Models(Mapping[str, Versions]):
    """All models of a process, by name."""

    def __init__(self) -> None:
        self.only: str | None = None  # the name if there is one model; an attribute, because every event reads it
        self._versions: dict[str, Versions] = {}

    def __getitem__(self, name: str) -> Versions:
        """Find a model. Raises `KeyError`; `find` raises the error for callers."""
        return self._versions[name]

    def __contains__(self, name: object) -> bool:
        """Return whether a model has this name."""
        return name in self._versions

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._versions)

    def __len__(self) -> int:
        """Return the number of models."""
        return len(self._versions)

    def find(self, name: str, version: str | int | None) -> ServedModel:
        """Find a version of a model, by its text or its number (see `runtime.versions`); None: its default.

        A model from an archive can also be found by the name in the archive; until the archive is pulled, by any name.
        Raises `UnknownModel` and `UnknownVersion`.
        """
        found = self._versions.get(name)
        if found is None:
            found = self._by_archive_name(name)
        if found is None:
            raise UnknownModel(name, list(self._versions), version=None if version is None else str(version))
        if isinstance(version, int):
            return found.with_number(version)
        return found.default if version is None else found[version]

    def _by_archive_name(self, name: str) -> Versions | None:
        return next((each for each in self._versions.values() if each.default.may_have_name(name)), None)

    def versions(self, name: str) -> list[str]:
        """Return the known versions of a model, the highest first; an empty list if the model is not served."""
        found = self._versions.get(name)
        return found.names if found else []

    def served(self) -> list[ServedModel]:
        """Return all versions of all models."""
        return [served for each in self._versions.values() for served in each]

    def add(self, served: ServedModel) -> None:
        """Add a version of a model. Raises `VersionConflict`."""
        if served.name in self._versions:
            self._versions[served.name].add(served)
        else:
            self._versions[served.name] = Versions(served)
            self._update_only()

    def remove(self, name: str, version: str | None) -> ServedModel:
        """Remove a version (None: the default), and the model with its last version. Raises as `find` does."""
        served = self.find(name, version)
        self._versions[served.name].remove(served)
        if not self._versions[served.name]:
            del self._versions[served.name]
            self._update_only()
        return served

    def _update_only(self) -> None:
        self.only = next(iter(self._versions)) if len(self._versions) == 1 else None
