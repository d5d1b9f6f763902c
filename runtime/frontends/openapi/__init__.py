"""The description of all REST routes as this process serves them, in OpenAPI 3.1. Pure.

    routes of the catalogue ─┐
                             ├─► document.py: one operation for each route and model ─► the document
    operations.py by key  ───┘

A protocol has a module here, named as the protocol is (dots as underscores). Its `DESCRIPTION` has an operation for
each handler key of the protocol's routes; a test compares the two. The modules import nothing heavy before they meet a
signature, so that `scalezero check` can read them without NumPy.
"""

from runtime.frontends.openapi.document import Described, document
from runtime.frontends.openapi.operations import Model

__all__ = ["Described", "Model", "document"]
