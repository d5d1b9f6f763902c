"""The project's own tasks. Nothing here is part of what a pod runs."""
