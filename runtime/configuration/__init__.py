"""Parsers that convert the text of settings to checked values. Pure, except for TorchServe's file.

values            durations, numbers, labels, digests, lists
listeners         SCALEZERO_LISTEN: ports other than the main one
version_policy    SCALEZERO_MODEL_VERSIONS: which versions of a folder are served
torchserve        TorchServe's config.properties and its TS_ variables
"""
