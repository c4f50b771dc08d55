"""What right answers hold: compared with what was made before the load (`setup/material.py`), which the run hands down.

`engine.run.load.material` holds `pages`: {id, path, tag, marker, served}, and what the project's adapter makes of posts.
Importing this imports neither Locust nor an SDK.
"""
