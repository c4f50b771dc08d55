"""What people do in a real browser: page objects, and flows that read like the seed's sentences.

A platform with other pages replaces `Pages` by its own class: `[settings] pages = "module:Class"` in
target.toml.
"""
