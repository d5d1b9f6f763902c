"""Rules that a pod has the folders that its WebAssembly guest declares, and that a guest can write where it may."""

from collections.abc import Iterator
from typing import Final

from knative.checks.finding import Finding, warning
from knative.checks.subject import Served, Subject
from knative.manifests.names import SCRATCH_PATH
from knative.manifests.options import Volume
from runtime.configuration.guest_folders import GuestFolder

FOLDER_NOT_MOUNTED: Final = warning(
    "guest-folder-not-mounted", "A pod whose guest has a folder that does not exist never becomes ready."
)
FOLDER_NOT_WRITABLE: Final = warning(
    "guest-folder-not-writable", "Only an emptyDir and /tmp are writable in a pod, so each write of the guest fails."
)

RULES: Final = (FOLDER_NOT_MOUNTED, FOLDER_NOT_WRITABLE)
_SCRATCH: Final = Volume(SCRATCH_PATH, "emptyDir")


def check(subject: Subject) -> Iterator[Finding]:
    """Compare the folders of each guest with the volumes of func.yaml."""
    for served in subject.one_per_model():
        for index, folder in enumerate(() if served.is_companion else served.settings.guest_folders):
            yield from _folder(subject, served, index, folder)


def _folder(subject: Subject, served: Served, index: int, folder: GuestFolder) -> Iterator[Finding]:
    where = subject.place(served.config, "spec", "guest", "folders", index) if served.config else None
    volume = _volume(subject, folder.path)
    if volume is None:
        what = f"the guest has the folder {folder.path}, and no volume of func.yaml provides it"
        fix = "add the volume to run.volumes, or ignore this if the image contains the folder"
        yield FOLDER_NOT_MOUNTED.finding(what, fix=fix, where=where)
    if not folder.read_only and not (volume and volume.is_writable):
        what = f"the guest may write to {folder.path}, which is {_kind(volume)}"
        fix = "remove readOnly: false, or mount an emptyDir there"
        yield FOLDER_NOT_WRITABLE.finding(what, fix=fix, where=where)


def _volume(subject: Subject, path: str) -> Volume | None:
    """Return the innermost volume that contains a path; None: it is in the image."""
    found = [each for each in (*subject.options.volumes, _SCRATCH) if f"{path}/".startswith(f"{each.path}/")]
    return max(found, key=lambda each: len(each.path), default=None)


def _kind(volume: Volume | None) -> str:
    return f"a volume of the type {volume.kind}" if volume else "in the image"
