"""The images that `scripts/image --with` builds: their names say which optional package they contain."""

from typing import Final, NamedTuple

from knative.checks.subject import Subject


class Flavour(NamedTuple):
    """An image with one optional package."""

    extra: str  # the value of --with, which is in the name or the tag of the image
    package: str  # that the extra installs

    def is_another(self, subject: Subject) -> bool:
        """Return whether an image is configured whose name does not say that it is of this flavour."""
        return subject.image_named and self.extra not in (subject.options.image or "").lower()

    @property
    def fix(self) -> str:
        """What to do about an image without the package."""
        return (
            f"build the image with scripts/image --with {self.extra}, "
            f"or ignore this if the image contains {self.package}"
        )


OPENVINO: Final = Flavour("openvino", "OpenVINO")
WASM: Final = Flavour("wasm", "wasmtime")
