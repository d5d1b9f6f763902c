"""What a caller sees of our functions on a real Knative, for `scripts/bench cluster`.

cli            which figures, how often; steps into the cluster of scripts/cluster where no KUBECONFIG names another
place          the effects: a namespace of the run's own, what is deployed into it, its pods
asking         the effects: one request, or a bounded load, and what became of each
cold_start, split, rollout, scale_out    one measure each
functions      data: the hello-world function, and the one that scales out
outcomes       pure: what was seen -> kept or not -> table, JSON
"""
