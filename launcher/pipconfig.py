"""pip's settings (files and PIP_* variables) translated into uv's environment variables, so that uv uses the same indices.

uv does not read pip's settings. A setting that this table does not know makes `for_uv` answer None: then pip
itself does the work.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping

_WORDS: Callable[[str], str] = lambda value: " ".join(value.split())  # noqa: E731
_COMMAS: Callable[[str], str] = lambda value: ",".join(value.split())  # noqa: E731
_SAME: Callable[[str], str] = str.strip
_FLAG: Callable[[str], str] = lambda value: "1" if value.strip().lower() in ("1", "true", "yes", "on") else ""  # noqa: E731

_MEANS: dict[str, tuple[tuple[str, ...], Callable[[str], str]]] = {
    "index-url": (("UV_DEFAULT_INDEX",), _SAME),
    "extra-index-url": (("UV_INDEX",), _WORDS),
    "find-links": (("UV_FIND_LINKS",), _COMMAS),
    "no-index": (("UV_NO_INDEX",), _FLAG),
    "cert": (("SSL_CERT_FILE",), _SAME),
    "client-cert": (("SSL_CLIENT_CERT",), _SAME),
    "proxy": (("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _SAME),
    "trusted-host": (("UV_INSECURE_HOST",), _WORDS),
    "timeout": (("UV_HTTP_TIMEOUT",), _SAME),
    "default-timeout": (("UV_HTTP_TIMEOUT",), _SAME),
}
_WITHOUT_EFFECT = {
    "break-system-packages", "cache-dir", "config-file", "disable-pip-version-check", "no-cache-dir", "no-color", "no-input",
    "no-python-version-warning", "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv",
    "retries", "root-user-action", "user", "verbose", "no-compile", "prefer-binary", "only-binary", "python",
}  # fmt: skip


def parse(listing: str) -> dict[str, str]:
    """Setting -> value from `pip config list`: a command's section beats `global`, a variable beats both."""
    found: dict[str, tuple[int, str]] = {}
    for line in listing.splitlines():
        name, equals, quoted = line.partition("=")
        section, dot, key = name.strip().rpartition(".")
        rank = {"global": 0, "install": 1, ":env:": 2}.get(section)
        if not equals or not dot or rank is None:
            continue
        try:
            value = str(ast.literal_eval(quoted.strip()))
        except (ValueError, SyntaxError):
            value = quoted.strip()
        if key not in found or found[key][0] <= rank:
            found[key] = (rank, value)
    return {key: value for key, (_, value) in found.items()}


def _absolute(place: str) -> bool:
    """Neither a relative folder, nor a name that uv's list, parted by commas, would cut in two."""
    return "," not in place and (":" in place or place.startswith("/"))


def for_uv(listing: str, environ: Mapping[str, str]) -> dict[str, str] | None:
    """The variables that give uv pip's settings, or None when uv cannot be given them.

    A variable that `environ` sets already stays as it is.
    """
    variables: dict[str, str] = {}
    for key, value in parse(listing).items():
        if key in _WITHOUT_EFFECT or not value.strip():
            continue
        if key not in _MEANS:
            return None
        names, convert = _MEANS[key]
        if key == "find-links" and not all(_absolute(word) for word in value.split()):
            return None
        said = convert(value)
        if said:
            variables.update({name: said for name in names if not environ.get(name)})
    return variables
