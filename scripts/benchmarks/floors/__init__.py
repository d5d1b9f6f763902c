"""What the figures are compared with: small programs that know nothing of the project, one process each."""
