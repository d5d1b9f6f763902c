"""TensorFlow Serving's API: what its clients send, and what they expect back.

signature      a model as TensorFlow sees it: data types, shapes, the signature "serving_default"
examples       Classify and Regress: examples to inputs, outputs to classes or values
"""
