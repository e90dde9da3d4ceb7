"""What a sidecar counts of its requests for the fleet, and what the fleet's counts make of its policy's numbers.

Pure, and below the routing, whose plan takes a `Tuning` as one of its inputs. No clock, no draw and no protobuf may
enter: `contract.tunings` reads and writes what is sent, and the control stream sends it.
"""
