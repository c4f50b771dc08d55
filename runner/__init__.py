"""Conducts a run: resolves target and plan, holds the stack, runs checks and load, has them judged.

Stands behind `cli.py` alone. Everything it learns of checks and load it reads from the journal.
"""
