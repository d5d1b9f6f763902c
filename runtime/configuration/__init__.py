"""What the settings are written as: text on one side, checked values on the other. Pure but for TorchServe's file.

values            durations, numbers, words, digests, lists
listeners         SCALEZERO_LISTEN: ports beside the main one
version_policy    SCALEZERO_MODEL_VERSIONS: which versions of a folder are served
torchserve        TorchServe's config.properties and its TS_ variables
"""
