"""A function's folder: its func.yaml as the options of a deployment, and its models published."""
