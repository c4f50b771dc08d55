"""Which way an embedded resource means: a relationship by foreign keys, or a function of the parent's row."""

from __future__ import annotations

from stack.supabase.rest.catalog import Catalog, Function, Relation
from stack.supabase.rest.errors import ApiError
from stack.supabase.rest.hints import ARGUMENTS, nearest
from stack.supabase.rest.parse import Embed
from stack.supabase.rest.relations import Link


def find(catalog: Catalog, relation: Relation, embed: Embed) -> Link | Function:
    """The one way from ``relation`` to what ``embed`` names. Raises PGRST200 for none, PGRST201 for several."""
    computed = catalog.computed(relation, embed.name)
    if computed and computed.rows:  # it goes before a foreign key of the same name
        return computed
    every = catalog.links.get((relation.schema, relation.name), [])
    found = [link for link in every if link.serves(embed.name, embed.hint)]
    if len(found) == 1:
        return found[0]
    between = f"'{relation.name}' and '{embed.name}'"
    if not found:
        searched = between + (f" using the hint '{embed.hint}'" if embed.hint else "")
        raise ApiError(
            "PGRST200", f"Could not find a relationship between {between} in the schema cache",
            f"Searched for a foreign key relationship between {searched} in the schema '{relation.schema}', "
            "but no matches were found.", _meant(catalog, relation, embed, every),
        )  # fmt: skip
    choices = ", ".join(f"'{embed.name}!{link.name}'" for link in found)
    raise ApiError(
        "PGRST201", f"Could not embed because more than one relationship was found for {between}",
        [link.described() for link in found],
        f"Try changing '{embed.name}' to one of the following: {choices}. Find the desired relationship in the "
        "'details' key.",
    )  # fmt: skip


def _meant(catalog: Catalog, relation: Relation, embed: Embed, every: list[Link]) -> str | None:
    known = {link.to[1] for link in every} if every else {name for _, name in catalog.links}
    wrong = embed.name if every else relation.name
    right = None if every and embed.name in known else nearest(wrong, known, ARGUMENTS, same=False)
    return right and f"Perhaps you meant '{right}' instead of '{wrong}'."
