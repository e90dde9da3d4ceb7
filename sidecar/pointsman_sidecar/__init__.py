"""The sidecar: routes the completions of one pod between models, by the policy that the operator sends.

Knows snapshots, never Kubernetes: nothing here imports kopf, kubernetes or the operator's code.
"""
