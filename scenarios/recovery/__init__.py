"""Disaster recovery, exercised: a backup of every store, its restoration into an empty project, and what was lost.

`database` copies rows as Supabase's own instructions do, `stores` objects and keys, `inventory` is everything that a
project holds, by name and digest, so that two projects can be compared.
"""
