"""From the desired steps to a cluster that matches them: observe, plan, apply, wait, and report.

    Step ... -> observe -> plan -> apply -> next_action -> waiting      status <- report      delete <- removing

The decisions are pure: plan, revisions, eventing_plan, undeclared, progress, differences, readiness, leftovers.
"""
