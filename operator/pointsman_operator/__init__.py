"""The control plane: it watches policies and providers, compiles them, and pushes the result to the sidecars.

It never calls a model. `resources`, `compile`, `world`, `schema` and the deciding halves of `push` and `status` are
pure. Only `watch` imports kopf and the Kubernetes client, so that the standalone command can run the rest without them.
"""
