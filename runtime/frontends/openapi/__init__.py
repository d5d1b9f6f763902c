"""The OpenAPI 3.1 document of the REST routes that this process serves. Pure.

    routes of the catalogue ─┐
                             ├─► document.py: one operation for each route and model ─► the document
    operations.py by key  ───┘

Each protocol has a module here with the protocol's name (dots as underscores). Its `DESCRIPTION` has an operation for
each handler key of the protocol's routes; a test compares the two. The modules import heavy libraries only when they
describe a signature, so that `scalezero check` can use them without NumPy.
"""

from runtime.frontends.openapi.document import Described, document
from runtime.frontends.openapi.operations import Model

__all__ = ["Described", "Model", "document"]
