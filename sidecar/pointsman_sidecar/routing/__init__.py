"""The decision: which model answers a request, and why.

Everything here is pure. No I/O, no clock, no randomness, no gRPC and no protobuf: what a decision depends on comes in
as arguments, so that the same request and policy give the same plan on any replica.
"""
