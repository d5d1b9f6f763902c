"""One module per figure. `every` lists them."""
