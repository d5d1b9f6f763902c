"""JSON of any size, in slices of a few milliseconds.

slices    a body -> ordinary values, and NumPy arrays in the place of large arrays of numbers
writer    a document -> its JSON, in pieces
cuts, rows, buffers, tree   what `slices` is made of
"""
