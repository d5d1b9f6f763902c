"""The client of the Kubernetes API, for the objects of one namespace. No other package imports `kubernetes`."""
