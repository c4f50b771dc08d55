"""What earlier runs found: the store, trends, regressions, alerts."""
