"""The ledger of budgets: what was spent, and what sidecars hold of the rest.

Everything in this package is pure: the clock, fresh numbers and the limits come in by argument, and what is to be
stored comes out as values. `docs/quotas-protocol.md` says how the pieces play together, what each message means, and
which rule keeps which promise.

- `windows`: calendar windows in a time zone.
- `accounts`: one budget of one subject in one window, and the blocks that are held of it.
- `sizing`: how much to grant.
- `messages`, `answering`: what a sidecar says, and what the ledger does and answers.
- `books`: all accounts in memory, and who holds blocks where.
- `lapsing`: what becomes of sidecars that are heard of no more, and of windows that are over.
- `records`: an account as bytes.

An account is what a store writes at once, by compare-and-swap. No promise rests on anything that spans two of them.
"""
