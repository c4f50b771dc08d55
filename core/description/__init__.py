"""A platform as its project describes it: the models of `target.toml`, read before any traffic.

`base` holds what every part shares (templates, routes, paths into an answer), `platform`, `people`, `database`,
`storage`, `rooms` and `load` one part each, `document` the whole file, `reading` the way from text to document.
"""

from core.description.base import Route, Size, fill, fill_path, names_in, pick
from core.description.document import Description
from core.description.reading import parse_description, read_description

__all__ = [
    "Description",
    "Route",
    "Size",
    "fill",
    "fill_path",
    "names_in",
    "parse_description",
    "pick",
    "read_description",
]
