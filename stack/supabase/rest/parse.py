"""The query language of a REST URL, as PostgREST documents it: text in, small trees out. No SQL here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

from stack.supabase.rest.errors import ApiError

AGGREGATES = ("sum", "avg", "min", "max", "count")
COMPARISONS = (
    "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl",
    "adj", "isdistinct", "in", "is", "fts", "plfts", "phfts", "wfts",
)  # fmt: skip
QUANTIFIED = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
FULL_TEXT = ("fts", "plfts", "phfts", "wfts")
IS_VALUES = ("null", "not_null", "true", "false", "unknown")
WORD = re.compile(r"[\w $]+")
CAST = re.compile(r"[A-Za-z_][\w ]*(?:\[\])*")


@dataclass(frozen=True)
class Field:
    """A column, perhaps with a JSON path of (arrow, key) steps."""

    name: str
    path: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Item:
    """One selected column or aggregate; ``field`` is None in ``count()``."""

    field: Field | None
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True)
class Embed:
    """One embedded resource."""

    name: str
    alias: str | None
    hint: str | None
    inner: bool
    spread: bool
    select: tuple[Item | Embed, ...]

    @property
    def key(self) -> str:
        """The name under which it stands in the answer, and by which filters address it."""
        return self.alias or self.name


Select = tuple[Item | Embed, ...]


@dataclass(frozen=True)
class Condition:
    """``field operator value``; ``value`` is a list for ``in``; ``modifier`` is any, all, or a text search language."""

    field: Field
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    modifier: str | None = None


@dataclass(frozen=True)
class Logic:
    """A tree of conditions joined by ``and`` or ``or``."""

    operator: str
    parts: tuple[Condition | Logic, ...]
    negated: bool = False


@dataclass(frozen=True)
class Order:
    """One term of an ordering; ``embed`` orders by a column of a to-one embedded resource."""

    field: Field
    direction: str = ""
    nulls: str = ""
    embed: str | None = None


@dataclass
class Node:
    """What was asked of one level of the tree: the request's own, or an embedded resource's."""

    filters: list[Condition | Logic] = field(default_factory=list)
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


class Scanner:
    """Reads a text from left to right; every complaint is PostgREST's PGRST100 with the column it happened at."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what, self.at = text, what, 0

    def peek(self, literal: str) -> bool:
        """Whether ``literal`` comes next."""
        return self.text.startswith(literal, self.at)

    def take(self, literal: str) -> bool:
        """Step over ``literal`` if it comes next."""
        if self.peek(literal):
            self.at += len(literal)
            return True
        return False

    def expect(self, literal: str) -> None:
        """Step over ``literal``. Raises PGRST100."""
        if not self.take(literal):
            self.fail(f'expecting "{literal}"')

    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self.text)

    def fail(self, expecting: str) -> NoReturn:
        """Raise PGRST100 for what stands here."""
        found = f'"{self.text[self.at]}"' if not self.done() else "end of input"
        raise ApiError(
            400,
            "PGRST100",
            f'"failed to parse {self.what} ({self.text})" (line 1, column {self.at + 1})',
            f"unexpected {found} {expecting}",
        )

    def quoted(self) -> str:
        """A text in double quotes; a backslash escapes."""
        self.expect('"')
        out: list[str] = []
        while not self.done():
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            if char == "\\" and not self.done():
                char = self.text[self.at]
                self.at += 1
            out.append(char)
        self.fail('expecting "\\""')

    def name(self) -> str:
        """A field name: quoted, or words joined by dashes (a dash before ``>`` begins a JSON path)."""
        if self.peek('"'):
            return self.quoted()
        start = self.at
        while True:
            word = WORD.match(self.text, self.at)
            if not word:
                break
            self.at = word.end()
            if self.peek("-") and not self.peek("->"):
                self.at += 1
                continue
            break
        found = self.text[start : self.at].strip()
        if not found:
            self.fail("expecting field name (* or [a..z0..9_$])")
        return found

    def field(self) -> Field:
        """A name with its JSON path."""
        return Field(self.name(), self.path())

    def path(self) -> tuple[tuple[str, str], ...]:
        """``->key`` and ``->>key``, as many as there are."""
        steps = []
        while self.peek("->"):
            arrow = "->>" if self.take("->>") else "->"
            if arrow == "->":
                self.expect("->")
            if self.peek('"'):
                key = self.quoted()
            else:
                found = re.compile(r"(?:(?!->)[^(:.,>)])+").match(self.text, self.at)
                if not found:
                    self.fail("expecting JSON path key")
                key = found[0]
                self.at = found.end()
            steps.append((arrow, key))
        return tuple(steps)

    def cast(self) -> str | None:
        """``::type``, if it is there."""
        if not self.take("::"):
            return None
        found = CAST.match(self.text, self.at)
        if not found:
            self.fail("expecting a type name")
        self.at = found.end()
        return found[0].strip()


@lru_cache(2000)
def select(text: str) -> Select:
    """Parse the ``select`` parameter."""
    scan = Scanner(text, "select parameter")
    items = _select_list(scan)
    if not scan.done():
        scan.fail('expecting "," or end of input')
    return items


def _select_list(scan: Scanner) -> Select:
    items: list[Item | Embed] = []
    while not scan.done() and not scan.peek(")"):
        items.append(_select_item(scan))
        if not scan.take(","):
            break
    return tuple(items)


def _select_item(scan: Scanner) -> Item | Embed:
    spread = scan.take("...")
    if scan.take("*"):
        return Item(Field("*"))
    alias, start = None, scan.at
    name = scan.name()
    if scan.peek(":") and not scan.peek("::"):
        scan.take(":")
        alias, start = name, scan.at
        if scan.take("*"):
            return Item(Field("*"))
        name = scan.name()
    hints = []
    while scan.take("!"):
        hints.append(scan.name())
    if name == "count" and not hints and scan.peek("()"):
        scan.take("()")
        return Item(None, alias, None, "count", scan.cast())
    if scan.take("("):
        children = _select_list(scan)
        scan.expect(")")
        hint = next((h for h in hints if h not in ("inner", "left")), None)
        return Embed(name, alias, hint, "inner" in hints, spread, children)
    if spread or hints:
        scan.fail('expecting "("')
    scan.at = start
    target = scan.field()
    cast = scan.cast()
    aggregate = aggregate_cast = None
    if scan.take("."):
        aggregate = scan.name()
        if aggregate not in AGGREGATES:
            scan.fail("expecting an aggregate: " + ", ".join(AGGREGATES))
        scan.expect("()")
        aggregate_cast = scan.cast()
    return Item(target, alias, cast, aggregate, aggregate_cast)


def condition(target: Field, text: str) -> Condition:
    """Parse ``not.eq.5`` as asked of a column by a query parameter."""
    scan = Scanner(text, "filter")
    negated, operator, modifier = _operator(scan)
    rest = text[scan.at :]
    value: str | tuple[str, ...] = rest
    if operator == "in":
        value = _in_list(scan)
        if not scan.done():
            scan.fail("expecting end of input")
    return _checked(scan, Condition(target, operator, value, negated, modifier))


def _operator(scan: Scanner) -> tuple[bool, str, str | None]:
    negated = scan.take("not.")
    start = scan.at
    word = re.compile(r"[a-z]+").match(scan.text, scan.at)
    if not word or word[0] not in COMPARISONS:
        scan.fail('expecting "not" or operator (eq, gt, ...)')
    operator = word[0]
    scan.at = word.end()
    modifier = None
    if scan.take("("):
        end = scan.text.find(")", scan.at)
        modifier = scan.text[scan.at : end] if end >= 0 else ""
        allowed = operator in FULL_TEXT or (operator in QUANTIFIED and modifier in ("any", "all"))
        if not modifier or not allowed:
            scan.at = start
            scan.fail('expecting "not" or operator (eq, gt, ...)')
        scan.at = end + 1
    scan.expect(".")
    return negated, operator, modifier


def _checked(scan: Scanner, found: Condition) -> Condition:
    if found.operator == "is" and str(found.value).lower() not in IS_VALUES:
        scan.at = len(scan.text) - len(str(found.value))
        scan.fail("expecting isVal: (null, not_null, true, false, unknown)")
    return found


def _in_list(scan: Scanner) -> tuple[str, ...]:
    scan.expect("(")
    if scan.take(")"):
        return ()
    values = []
    while True:
        values.append(scan.quoted() if scan.peek('"') else _until(scan, ",)"))
        if scan.take(")"):
            return tuple(values)
        if not scan.take(","):
            scan.fail('expecting "," or ")"')


def _until(scan: Scanner, stops: str) -> str:
    start = scan.at
    while not scan.done() and scan.text[scan.at] not in stops:
        scan.at += 1
    return scan.text[start : scan.at]


def logic(operator: str, text: str) -> Logic:
    """Parse ``or=(a.eq.1,and(b.gt.2,c.is.null))``; ``operator`` is and, or, not.and, not.or."""
    scan = Scanner(text, "logic tree")
    found = _logic_group(scan, operator)
    if not scan.done():
        scan.fail("expecting end of input")
    return found


def _logic_group(scan: Scanner, operator: str) -> Logic:
    scan.expect("(")
    parts: list[Condition | Logic] = []
    while True:
        while scan.take(" "):
            continue
        nested = re.compile(r"((?:not\.)?(?:and|or))(?=\()").match(scan.text, scan.at)
        if nested:
            scan.at = nested.end()
            parts.append(_logic_group(scan, nested[1]))
        else:
            parts.append(_logic_condition(scan))
        if scan.take(")"):
            return Logic(operator.removeprefix("not."), tuple(parts), operator.startswith("not."))
        scan.expect(",")


def _logic_condition(scan: Scanner) -> Condition:
    target = scan.field()
    scan.expect(".")
    negated, operator, modifier = _operator(scan)
    value: str | tuple[str, ...]
    if operator == "in":
        value = _in_list(scan)
    elif scan.peek('"'):
        value = scan.quoted()
    elif scan.peek("{"):
        start = scan.at
        quoted = False
        while not scan.done() and (quoted or scan.text[scan.at] != "}"):
            quoted ^= scan.text[scan.at] == '"'
            scan.at += 1
        scan.expect("}")
        value = scan.text[start : scan.at]
    elif operator in ("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj") and scan.text[
        scan.at : scan.at + 1
    ] in ("[", "("):
        end = re.compile(r"[\[(][^\[\]()]*[\])]").match(scan.text, scan.at)
        value = end[0] if end else _until(scan, ",)")
        scan.at = end.end() if end else scan.at
    else:
        value = _until(scan, ",)")
    return _checked(scan, Condition(target, operator, value, negated, modifier))


@lru_cache(2000)
def order(text: str) -> tuple[Order, ...]:
    """Parse the ``order`` parameter."""
    scan = Scanner(text, "order")
    terms = []
    while True:
        embed = None
        target = scan.field()
        if scan.take("("):
            embed, target = target.name, scan.field()
            scan.expect(")")
        direction = nulls = ""
        while scan.take("."):
            word = scan.name()
            if word in ("asc", "desc") and not direction and not nulls:
                direction = word
            elif word in ("nullsfirst", "nullslast") and not nulls:
                nulls = word
            else:
                scan.fail('expecting "asc", "desc", "nullsfirst" or "nullslast"')
        terms.append(Order(target, direction, nulls, embed))
        if scan.done():
            return tuple(terms)
        scan.expect(",")


def columns(text: str) -> list[str]:
    """Parse the ``columns`` or ``on_conflict`` parameter."""
    scan = Scanner(text, "columns parameter")
    names = [scan.name()]
    while scan.take(","):
        names.append(scan.name())
    if not scan.done():
        scan.fail('expecting "," or end of input')
    return names


def _integer(text: str, what: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise ApiError(
            400, "PGRST103", "Requested range not satisfiable", f"{what} must be an integer, not {text!r}"
        )
    return int(text)


Path = tuple[str, ...]


@lru_cache(5000)
def _address(key: str) -> tuple[Path, bool, Field]:
    """A parameter's name taken apart: the level it addresses, whether ``not`` stands before a logic word, the rest."""
    scan = Scanner(key, "tree path")
    path: list[str] = []
    negated = False
    target = scan.field()
    while scan.take("."):
        if target.name == "not" and scan.text[scan.at :] in ("and", "or"):
            negated, target = True, scan.field()
            continue
        path.append(target.name)
        target = scan.field()
    if not scan.done():
        scan.fail('expecting "." or end of input')
    return tuple(path), negated, target


def nodes(params: list[tuple[str, str]]) -> dict[Path, Node]:
    """Sort the parameters by the level of the tree that they address: () is the request's own."""
    found: dict[Path, Node] = {(): Node()}
    for key, value in params:
        if key in ("select", "columns", "on_conflict"):
            continue
        path, negated, target = _address(key)
        node = found.setdefault(path, Node())
        if target.path:
            node.filters.append(condition(target, value))
        elif target.name == "order":
            node.order = order(value)
        elif target.name == "limit":
            node.limit = _integer(value, "limit")
        elif target.name == "offset":
            node.offset = _integer(value, "offset")
        elif target.name in ("and", "or"):
            node.filters.append(logic(("not." if negated else "") + target.name, value))
        else:
            node.filters.append(condition(target, value))
    return found
