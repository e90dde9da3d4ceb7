"""`make bench-ledger`: what budgets cost a request, and how fast each store grants."""
