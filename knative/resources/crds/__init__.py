"""The CustomResourceDefinitions of the user's kinds, checked in beside this file.

`python -m knative.resources.crds` generates them from the models. A test fails if they are out of date.
"""
