"""The vocabulary of Assay: what a target, plan, check, sample, objective and verdict are.

Imports no other room. What records (`journal`, `ledger`) and what is judged (`evidence`) meet only in the
files of a run.
"""
