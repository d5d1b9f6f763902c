"""The folder of a function: the options in its func.yaml, and the training and publishing of its models."""
