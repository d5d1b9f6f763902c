"""Development tasks of the project. No pod runs this code."""
