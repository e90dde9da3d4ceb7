"""One completion from request to answer: plan, attempts, fallback, decision. Between the doors and the providers.

Knows no transport: the doors translate what it raises, and give it what it needs to know of the caller.
"""
