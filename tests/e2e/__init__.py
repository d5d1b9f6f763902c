"""A whole life on a real cluster: deployed by the real command, asked over its own URLs, broken for real."""
