"""From what is wanted to a cluster that has it: look, plan, apply, wait, and tell how it stands.

    Step ... -> observe -> plan -> apply, waiting      status <- report      delete -> removing

What decides is pure: plan, differences, readiness.
"""
