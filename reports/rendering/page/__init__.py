"""The report's own pages: one file each, self-contained, no request to anyone."""
