"""What right answers hold: compared with what was made before the load (`setup/material.py`), which the run hands down.

`engine.run.load.material` holds `pages`: {id, path, tag, marker, served}; `posts`: published rows with author;
`drafts` and `profiles`: rows by person; `hot`: the id of the draft of the first person that everybody may change under
their name. Importing this imports neither Locust nor an SDK.
"""

from __future__ import annotations

TITLE = "load"
"""First word of every post that a load makes."""
