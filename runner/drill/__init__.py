"""The drill: known faults are planted in a platform, checks run, and each fault must be seen.

`catalogue` reads the faults, `batches` says which can be planted together, `stage` is the platform, `plants` puts a fault in
and takes it out, `proxy` stands between two parts, `drill` runs it all, `matrix` tells what came of it.
"""
