"""Starts the embedded target's components, keeps them for as long as somebody holds a lease, and stops them.

`python -m stack.supervisor up|down|status|env`; `component.py` says what a component is.
"""
