"""Budgets, as a sidecar keeps to them: it spends only from blocks that the ledger granted, and asks for more in time.

Pure: no I/O, no randomness, and the clock comes in by argument. `Holdings` is the one thing with a memory; whoever owns
it carries its calls to the ledger and the answers back, and writes its journal:

    holdings.bind(budgets)                          # whenever the operator says which budgets bind this sidecar
    outcome = holdings.reserve(charges, now=now)    # before a call, with upper bounds: a Reservation or a Shortage
    holdings.settle(outcome, amounts, now=now)      # after it, with what was used; or `settle_at_bound`, or `release`
    call = holdings.next_call(now=now)              # whenever `wants_to_speak(now=now)`; then `hear` or `unanswered`
    written = holdings.drain()                      # after each of these, and on disk before what follows

`docs/quotas-protocol.md` has the rules and what each is for.
"""
