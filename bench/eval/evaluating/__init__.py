"""What the shipped models are worth: `make eval DATA=folder`, and `make eval-speed`."""
