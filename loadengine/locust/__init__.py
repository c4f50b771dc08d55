"""The engine wired to Locust: users, arrivals, distributed runs, the statistics table."""
