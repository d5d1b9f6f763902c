"""`python -m scripts.images`."""

from scripts.images.cli import main

main(prog_name="scripts/image")
