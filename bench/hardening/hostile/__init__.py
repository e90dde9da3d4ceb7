"""Malformed and hostile requests by the hundred thousand, through both doors of a real sidecar, and what came of them.

Every case is a function of a seed and its number, so that one that finds something can be sent again by itself.
"""
