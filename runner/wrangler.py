"""What a wrangler configuration tells of a platform: its account, R2 bucket, KV namespace and Durable Objects.

Keys as Cloudflare documents them: developers.cloudflare.com/workers/wrangler/configuration.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import shown
from core.errors import ConfigError

NAMES = ("wrangler.toml", "wrangler.json", "wrangler.jsonc")
_NO_JSON = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)


def variables(folder: Path) -> dict[str, str]:
    """Assay's variables that the configuration in a folder gives; nothing in it is secret. Raises ConfigError."""
    file = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if file is None:
        return {}
    said = _read(file)
    found = {
        "CLOUDFLARE_ACCOUNT_ID": said.get("account_id"),
        "R2_BUCKET_NAME": _first(said, "r2_buckets", "bucket_name"),
        "KV_NAMESPACE_ID": _first(said, "kv_namespaces", "id"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def _read(file: Path) -> Mapping[str, Any]:
    text = file.read_text(encoding="utf-8-sig")
    try:
        said = tomllib.loads(text) if file.suffix == ".toml" else json.loads(_plain(text))
    except ValueError as error:
        raise ConfigError(f"{shown(file)} cannot be read: {error}; correct it.") from None
    return said if isinstance(said, dict) else {}


def _plain(text: str) -> str:
    """JSON with comments and commas too many, without them."""
    without = _NO_JSON.sub(lambda found: found[1] or "", text)
    return _NO_JSON.sub(lambda found: found[1] or "", without)  # a comma that stood before a comment


def _first(said: Mapping[str, Any], key: str, inside: str) -> object:
    entries = said.get(key)
    first = entries[0] if isinstance(entries, list) and entries else {}
    return first.get(inside) if isinstance(first, dict) else None
