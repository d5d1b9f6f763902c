"""The user's kinds as CustomResourceDefinitions, checked in beside this file.

`python -m knative.resources.crds` writes them anew from the models; a test tells when that was forgotten.
"""
