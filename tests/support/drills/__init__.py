"""Budgets under fire: many real sidecars, ledgers that are killed, and the provider's own count as the judge."""
