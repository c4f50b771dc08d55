"""`assay watch`: light probes on a schedule, availability with its error budget, alerts, and a status page."""
