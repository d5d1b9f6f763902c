"""Where several models or versions come from, each as the container of another server lays them out.

    version_folders    TensorFlow Serving: a folder of numbered versions
    model_store        TorchServe: a store of archives

Both give the settings of each model that is served from the start.
"""
