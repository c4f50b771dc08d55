"""Journeys: what people do, as functions (`api/`) and as flows in a real browser (`browser/`)."""
