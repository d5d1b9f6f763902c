"""The floors: minimal programs, independent of the project, that the figures are compared with. One process each."""
