"""Calls to providers, through the openai SDK; the only package that imports it.

Knows bodies as bytes and answers as decoded JSON. What they mean is the contract's business.
"""
