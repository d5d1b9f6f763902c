"""JSON and tensors: what every JSON protocol shares.

tensors      JSON values -> arrays of a model's element types, and back; over lists, elements and containers
slices       a body of any size -> ordinary values, and NumPy arrays in the place of large arrays of numbers
writer       a document of any size -> its JSON, in pieces
cuts, rows, buffers, tree   what `slices` is made of
"""
