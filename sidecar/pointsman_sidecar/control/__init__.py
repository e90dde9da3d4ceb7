"""The stream to the operator, and what came over it: the policy in force and the access to providers."""
