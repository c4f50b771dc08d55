"""What surrounds a load, outside Locust: what it needs beforehand, what it leaves, and the way to the target."""
