"""Budgets as a running sidecar keeps to them: what it holds, its journal, and the stream to the ledger.

I/O around the pure `pointsman_sidecar.quota`. One event loop uses all of it.
"""
