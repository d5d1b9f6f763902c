"""The variants of a model: the forms in which it can be served, what was measured of them, and which one a pod uses.

values      what publishing records; values_json: the same as JSON, by the readers of json_fields
added       an assessment that is added later, beside the manifest
pinned      what a deploy pins into a revision
choosing    the order in which a pod tries the variants
cpu_class   the class of this machine's CPU; measurements hold for one class
bounds      which variants are acceptable; options: on the command line
provenance  when something was published or measured, and with which packages
table       the measurements for people
names       the names that a cold start needs
"""
