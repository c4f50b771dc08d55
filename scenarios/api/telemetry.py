"""How soon what a vendor accepted must be readable there."""

from __future__ import annotations

DEADLINES = {"sentry": 60.0, "datadog": 90.0, "ga4": 60.0, "mixpanel": 90.0}
"""Seconds until an accepted datum must be readable, by service: what the vendors say is usual, doubled."""
