"""Supabase's advisors (lints 0001 to 0029, by their names) from one reading of the catalog, and what is tried of them.

`finding` is what a lint finds, `security` and `upkeep` are the lints, `proof` tries what can be shown by doing. The rules
are those that Supabase documents (Database Advisors; github.com/supabase/splinter); the code is our own.
"""
