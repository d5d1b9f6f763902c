"""A rollout: traffic goes over to another revision of a model's Service in steps, and comes back when that goes wrong.

    Service, Revision, Pods, /metrics -> reading, measuring -> Facts -> machine.decide -> Decision -> run, one write

All that decides is pure. What has to be known after a crash lies in one annotation of the Service (record.py), which is
written in one request with the split, so that the two cannot disagree.
"""
