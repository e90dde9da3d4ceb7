"""The `pointsman` command: both planes on a laptop, and the cluster's verdict without a cluster.

Imports neither kopf nor kubernetes: what it shares with the operator is pure.
"""
