"""The cross-resource linter: rules over what is to be deployed, and how.

    run.examine(paths) -> Report(findings, notes)

A rule is pure: it looks at a `Subject` and yields findings, each under a stable code. One file holds one family of
rules; rules.py gathers them. Reading the files and asking the registry and the cluster are run.py's and facts.py's.
"""

from knative.checks.finding import Finding, Severity
from knative.checks.run import Report, Sources, examine

__all__ = ["Finding", "Report", "Severity", "Sources", "examine"]
