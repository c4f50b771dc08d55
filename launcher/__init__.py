"""What `./assay` does before cli.py can run: the environment, made from hash-locked files.

Standard library only: it runs on a bare Python, where none of the project's packages exist yet. Nothing in
the project imports it. `main` decides what is stale, one module per part makes it, `stamps` remembers it.
"""
