"""A hook of MkDocs: the README is the first page, what lies beside its tool is a page too, links go to wherever each came.

Documents link to each other as they lie in the repository, so that they can be read there. A link out of the site leads to
SITE_SOURCE (such as https://github.com/OWNER/assay/blob/main), which the publishing workflow sets; without it, it is words.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "deploy/ci/README.md": "ci.md",
    "deploy/release/README.md": "release.md",
    "deploy/observability/README.md": "observability.md",
    "deploy/container/README.md": "container.md",
    "bench/README.md": "bench.md",
    "stack/README.md": "stack.md",
    "stack/platform/API.md": "platform-api.md",
}
"""File of the repository -> page of the site, beside those of docs/."""
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.S)


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that do not lie in docs/."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relinked(text, source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of a page of docs/."""
    if page.file.src_uri in PAGES.values():
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}")


def relinked(text: str, source: str) -> str:
    """`text` of the repository's file `source`, its links as the site needs them; code stays as it is."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\x00{len(kept) - 1}\x00"

    changed = _links(CODE.sub(keep, text), source)
    return re.sub("\x00(\\d+)\x00", lambda found: kept[int(found[1])], changed)


def _links(text: str, source: str) -> str:
    def changed(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        words = _links(words, source)
        if re.match(r"[a-z]+:|#|//", target):
            return found[0].replace(found[2], words)
        path, _, anchor = target.partition("#")
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = PAGES.get(place) or (place.removeprefix("docs/") if place.startswith("docs/") else "")
        anchor = f"#{anchor}" if anchor else ""
        if page:
            return f"{image}[{words}]({page}{anchor})"
        where = os.environ.get("SITE_SOURCE", "").rstrip("/")
        return f"[{words}]({where}/{place}{anchor})" if where else words

    return LINK.sub(changed, text)
