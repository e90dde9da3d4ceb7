"""What is seen of a sidecar: traces, metrics, logs. Never a prompt, never an answer, never a key."""
