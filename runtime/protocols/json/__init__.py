"""JSON and tensors, for every JSON protocol.

tensors      JSON values -> arrays of a model's element types, and back; over lists, elements and containers
slices       a body of any size -> ordinary values, with NumPy arrays instead of large lists of numbers
writer       a document of any size -> its JSON, in pieces; records: as a list of objects, one for each row
schemas      JSON Schema of an element and of lists
cuts, rows, buffers, tree   the parts of `slices`
"""
