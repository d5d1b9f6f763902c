"""The way to a cluster: its API server, asked for the objects of one namespace. No other room knows `kubernetes`."""
