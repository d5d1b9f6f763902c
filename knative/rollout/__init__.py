"""A rollout moves the traffic of a model's Service to another revision in steps, and rolls back after a failure.

    Service, Revision, Pods, /metrics -> reading, measuring -> Facts -> machine.decide -> Decision -> run, one write

All decisions are pure. The state is kept in one annotation of the Service (record.py), so a rollout continues after a
crash of the command. One request writes the annotation and the split, so the two cannot disagree.
"""
