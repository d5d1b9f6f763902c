"""Scripts that run in the environments of other clients: they import nothing of this project."""
