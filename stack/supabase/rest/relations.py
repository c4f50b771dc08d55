"""Relationships between relations: from foreign keys, through junctions, and through views that show their columns."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

Name = tuple[str, str]  # schema, relation
Origins = Mapping[int, Mapping[int, tuple[int, int]]]  # view: column: (table, column), by number

# A view's rule as PostgreSQL keeps it (a node tree). Brackets nest; the target list of the query itself is four deep.
NODES = re.compile(r"\\.|([({])|([)}])|:resno (\d+)|:resorigtbl (\d+) :resorigcol (\d+)", re.S)
TARGETS = 4


@dataclass(frozen=True)
class Key:
    """A foreign key: tables and columns by their numbers; ``unique`` if its columns are a key of their own table too."""

    name: str
    table: int
    to: int
    columns: tuple[int, ...]
    to_columns: tuple[int, ...]
    unique: bool


@dataclass(frozen=True)
class Link:
    """A way from one relation to another: ``on`` pairs (column here, column there); a junction has two hops."""

    here: Name
    to: Name
    name: str
    cardinality: str
    on: tuple[tuple[str, str], ...]
    forward: bool = True
    to_view: bool = False
    via: Name | None = None
    via_on: tuple[tuple[str, str], ...] = ()
    via_names: tuple[str, str] = ("", "")

    @property
    def one(self) -> bool:
        """Whether it leads to one row at most."""
        return self.cardinality.endswith("to-one")

    def described(self) -> dict[str, str]:
        """As PGRST201 tells of it."""
        near, far = (", ".join(pair[n] for pair in self.on) for n in (0, 1))
        how = f"{self.name} using {self.here[1]}({near}) and {self.to[1]}({far})"
        if self.via:
            first, second = self.via_names
            ends = ", ".join(pair[0] for pair in self.via_on)
            how = f"{self.via[1]} using {first}({far}) and {second}({ends})"
        embedding = f"{self.here[1]} with {self.to[1]}"
        return {"cardinality": self.cardinality, "embedding": embedding, "relationship": how}

    def serves(self, name: str, hint: str | None) -> bool:
        """Whether ``name!hint(…)`` may mean this way (PostgREST documentation, "Resource Embedding")."""
        near, far = self.on[0] if len(self.on) == 1 and not self.via else ("", "")
        if self.here == self.to:  # the table's name leads to its children, the column's to the parent
            children = name == self.to[1] and self.cardinality == "one-to-many"
            parent = name == near and self.cardinality == "many-to-one"
            return children and hint == far if hint else children or parent
        if hint is None:
            direct = not self.to_view and not self.via and name in (self.name, near)
            return name == self.to[1] or direct
        return name == self.to[1] and hint in ((self.via[1],) if self.via else (self.name, near, far))


def origins(rules: Mapping[int, str]) -> dict[int, dict[int, tuple[int, int]]]:
    """For each view, given its rule, the tables' columns that its columns show unchanged, through other views too."""
    direct = {view: dict(_shown(rule)) for view, rule in rules.items()}

    def base(table: int, column: int) -> tuple[int, int] | None:
        passed = set()  # two views may show each other
        while table in direct:
            if column not in direct[table] or table in passed:
                return None
            passed.add(table)
            table, column = direct[table][column]
        return table, column

    found: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for view, columns in direct.items():
        for number, (table, column) in columns.items():
            if origin := base(table, column):
                found[view][number] = origin
    return found


def _shown(rule: str) -> Iterator[tuple[int, tuple[int, int]]]:
    depth, number = 0, 0
    for node in NODES.finditer(rule):
        depth += bool(node[1]) - bool(node[2])
        if depth == TARGETS and node[3]:
            number = int(node[3])
        elif depth == TARGETS and node[4] and node[4] != "0":
            yield number, (int(node[4]), int(node[5]))


def connect(
    keys: list[Key], views: Origins, places: Mapping[int, Name], names: Mapping[int, Mapping[int, str]],
    primary: Mapping[Name, set[str]],
) -> list[Link]:  # fmt: skip
    """Every link: a key's own, the same seen through views, their inverses, and those through a junction."""
    showing: dict[tuple[int, int], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for view, columns in views.items():
        for number, origin in columns.items():
            showing[origin][view].append(number)

    def seen(table: int, columns: tuple[int, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The table itself and each view that shows all of these columns, with their names there."""
        yield table, tuple(names[table][c] for c in columns)
        for view in showing[table, columns[0]]:
            choices = [showing[table, c].get(view, []) for c in columns]
            yield from ((view, tuple(names[view][c] for c in chosen)) for chosen in product(*choices))

    forward = [
        Link(places[here], places[to], key.name, "one-to-one" if key.unique else "many-to-one",
             tuple(zip(near, far, strict=True)), to_view=to in views)
        for key in keys
        for here, near in seen(key.table, key.columns)
        for to, far in seen(key.to, key.to_columns)
    ]  # fmt: skip
    viewed = {places[view] for view in views}
    links = list(forward)
    by_origin: dict[Name, list[Link]] = defaultdict(list)
    for link in forward:
        kind = "one-to-one" if link.cardinality == "one-to-one" else "one-to-many"
        back = tuple((there, here) for here, there in link.on)
        links.append(replace(link, here=link.to, to=link.here, cardinality=kind, on=back, forward=False,
                             to_view=link.here in viewed))  # fmt: skip
        if kind == "one-to-many":
            by_origin[link.here].append(link)
    # Many-to-many: a junction has two foreign keys within its primary key (PostgREST docs, "Resource Embedding").
    for junction, ways in by_origin.items():
        for first, second in product(ways, ways):
            used = {pair[0] for pair in (*first.on, *second.on)}
            if first.name != second.name and used <= primary[junction]:
                back = tuple((there, here) for here, there in first.on)
                links.append(Link(first.to, second.to, junction[1], "many-to-many", back, False, second.to_view,
                                  junction, second.on, (first.name, second.name)))  # fmt: skip
    return links
