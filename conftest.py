"""Pytest's entry: everything that a check is handed comes from the plugin in `fixtures/`."""

pytest_plugins = ["fixtures.plugin"]
