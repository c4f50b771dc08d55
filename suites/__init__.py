"""The checks, one folder for each concern of the seed."""
