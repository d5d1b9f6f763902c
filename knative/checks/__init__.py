"""The linter behind `scalezero check`: rules over the resources and options of a deployment.

    run.examine(project) -> Report(findings, notes)

A rule is a pure function over a `Subject` that yields findings, each with a stable code. Each file contains one family
of rules, and rules.py lists all families. facts.py queries the registry and the cluster, and run.py combines the parts.
"""

from knative.checks.facts import ReadOnce
from knative.checks.finding import Finding, Severity
from knative.checks.run import Report, Sources, examine

__all__ = ["Finding", "ReadOnce", "Report", "Severity", "Sources", "examine"]
