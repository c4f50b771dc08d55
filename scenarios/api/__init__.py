"""Journeys over the narrow port of `core.port`: pytest and Locust run the same ones."""
