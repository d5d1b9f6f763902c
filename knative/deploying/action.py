"""One action of a plan: what it does with one object."""

from dataclasses import dataclass
from typing import Literal

from knative.deploying.differences import Difference
from knative.deploying.replacing import Removal
from knative.objects import Manifest, Ref

Verb = Literal["create", "change", "replace", "delete", "keep", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """The action for one object."""

    verb: Verb
    ref: Ref
    manifest: Manifest | None = None  # to apply; None: nothing to apply
    makes: str | None = None  # the revision that must be Ready before the next action
    differences: tuple[Difference, ...] = ()
    why: str = ""  # the reason of a refusal and the next step; or a note about an object that is kept
    force: bool = False  # may take over fields of other managers, because it keeps their values
    removal: Removal | None = None  # what to delete before the manifest is applied
    awaited: bool = True  # whether the object, and the revisions that it routes to, must become Ready
    binding: Ref | None = None  # the SinkBinding that adds variables to the template; deleted: that added them before

    @property
    def is_change(self) -> bool:
        """Whether it applies or deletes something."""
        return self.verb not in {"keep", "refuse"}
