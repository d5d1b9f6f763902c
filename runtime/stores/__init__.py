"""Several models or versions in one process.

    companions         the other models of a function
    version_folders    TensorFlow Serving's container: a folder of numbered versions
    model_store        TorchServe's container: a store of archives

Each returns the settings of each model that is served from the start.
"""
