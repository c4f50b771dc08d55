"""What right answers hold, known to a load's processes from what was made before it (`around/material.py`).

Importing this imports neither Locust nor an SDK.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = "ASSAY_MATERIAL"
TITLE = "load"
"""First word of every post that a load makes."""


def known() -> dict[str, Any]:
    """What was made; empty without a file.

    `pages`: {id, path, tag, marker, served}. `posts`: published rows with author, by id. `drafts` and `profiles`:
    rows by person. `hot`: the id of the draft of the first person that everybody may change under their name.
    """
    name = os.environ.get(FILE, "")
    return dict(json.loads(Path(name).read_text())) if name else {}
