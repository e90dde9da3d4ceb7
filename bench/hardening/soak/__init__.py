"""A sidecar at half of what it can do, for minutes, while its providers fail now and then."""
