"""Makes and measures the model of `pointsman_sidecar.confidence`. It needs numpy, and a folder of labelled answers."""
