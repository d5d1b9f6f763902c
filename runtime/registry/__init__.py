"""The registry of models, an S3 bucket or a folder: the second step of the pipeline.

optimization  what a publisher asks for when variants are made
files       the artifact and its external data: published once, never changed
describing  the facts of a model's file, and who publishes it when
making      variants, measurements and prepared forms; prepared_forms, rows and forms: parts of it
publishing  files, then the manifest; completing: the manifest of a model that has none
adding      the assessment of another CPU class, beside the manifest
guests      a WebAssembly guest and its compiled code: published, and code added; guest_places: their URIs
command     what `scalezero publish` does; terminal: bars and lines; interruption: what commands do at SIGTERM
catalogue   all manifests; guest_catalogue: all guests; verifying and removing: the objects of one

`runtime.published` has the values that are published, and their reader.
"""

from runtime.published.manifest import Manifest
from runtime.published.manifest_json import InvalidManifest, as_data
from runtime.published.places import manifest_uri
from runtime.published.reading import (
    Added,
    InvalidAssessment,
    assessments_of,
    published_variants,
    read_assessments,
    read_manifest,
    require_manifest,
    variants_of,
)
from runtime.registry.adding import AddedResult, AlreadyMeasured, add_assessment
from runtime.registry.catalogue import AmbiguousModel, Entry, ModelNotPublished, entries, find_model, select
from runtime.registry.completing import complete_model, manifest_state
from runtime.registry.describing import Publication
from runtime.registry.files import AlreadyPublished, PlannedFile, Published, Watch, find, publish
from runtime.registry.guest_catalogue import GuestEntry, StoredCode, guest_entries, is_guest, read_guest
from runtime.registry.guests import (
    CHANGED_STEP,
    AddedCode,
    PublishedGuest,
    add_code,
    find_guest,
    missing_code,
    publish_guest,
)
from runtime.registry.optimization import DataSource, Optimization, optimization_of
from runtime.registry.publishing import OtherManifest, PlannedModel, plan_model, publish_model, publish_planned
from runtime.registry.removing import Removal, plan_cleaning, plan_removal, remove
from runtime.registry.verifying import Verification, verify, verify_guest
from runtime.variants.added import as_data as added_data
from runtime.variants.values import Assessment, Variant
from runtime.variants.values_json import data_of as assessment_data

__all__ = [
    "CHANGED_STEP",
    "Added",
    "AddedCode",
    "AddedResult",
    "AlreadyMeasured",
    "AlreadyPublished",
    "AmbiguousModel",
    "Assessment",
    "DataSource",
    "Entry",
    "GuestEntry",
    "InvalidAssessment",
    "InvalidManifest",
    "Manifest",
    "ModelNotPublished",
    "Optimization",
    "OtherManifest",
    "PlannedFile",
    "PlannedModel",
    "Publication",
    "Published",
    "PublishedGuest",
    "Removal",
    "StoredCode",
    "Variant",
    "Verification",
    "Watch",
    "add_assessment",
    "add_code",
    "added_data",
    "as_data",
    "assessment_data",
    "assessments_of",
    "complete_model",
    "entries",
    "find",
    "find_guest",
    "find_model",
    "guest_entries",
    "is_guest",
    "manifest_state",
    "manifest_uri",
    "missing_code",
    "optimization_of",
    "plan_cleaning",
    "plan_model",
    "plan_removal",
    "publish",
    "publish_guest",
    "publish_model",
    "publish_planned",
    "published_variants",
    "read_assessments",
    "read_guest",
    "read_manifest",
    "remove",
    "require_manifest",
    "select",
    "variants_of",
    "verify",
    "verify_guest",
]
