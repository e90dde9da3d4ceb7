"""Calls to providers, through the openai SDK; the only package that imports it.

Knows bodies and answers as bytes. What they mean is the contract's business.
"""
