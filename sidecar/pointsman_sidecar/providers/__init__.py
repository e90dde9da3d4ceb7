"""Calls to providers, over aiohttp; the only package that makes any.

Knows bodies and answers as bytes. What they mean is the contract's business.
"""
