"""Between the protos and everything else: pure translations, both ways.

No I/O and no gRPC calls here. What crosses the contract is checked here, once, so that nothing behind it doubts its
input.
"""
