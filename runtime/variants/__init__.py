"""The variants of a model: the forms in which it can be served, what was measured of them, and which one a pod uses.

values      what publishing records, in the manifest and in the measurements beside it
cpu_class   the class of this machine's CPU; measurements hold for one class
"""
