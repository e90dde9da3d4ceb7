"""What keeps a model that fails from becoming a completion that fails: breakers, budgets, backoff, quantiles, a line.

Pure: the clock and the draw come in by argument, and nothing here waits or calls.
"""
