"""Journeys: what a person does, once as functions over HTTP (`api`) and once in a browser (`browser`)."""
