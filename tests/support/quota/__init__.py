"""A world of the quota protocol in memory: sidecars, two replicas, a store, and a network that does all it can."""
