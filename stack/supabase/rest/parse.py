"""The query language of a REST URL, as PostgREST documents it: text in, small trees out. No SQL here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn, TypeVar

from stack.supabase.rest.errors import ApiError, out_of_range

FULL_TEXT = ("fts", "plfts", "phfts", "wfts")
QUANTIFIED = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
RANGES = ("cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
COMPARISONS = frozenset((*QUANTIFIED, *RANGES, *FULL_TEXT, "neq", "isdistinct", "in", "is"))
IS_VALUES = ("null", "not_null", "true", "false", "unknown")

LISTED = re.compile(r'"(?:[^"\\]|\\.)*"(?=[,)])', re.S)  # quotes that hold one whole value
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
NAME = re.compile(r"[\w $]+(?:-(?!>)[\w $]*)*")  # words joined by dashes; a dash before > begins a JSON path
ARROW = re.compile(r"->>?")
KEY = re.compile(r"(?:(?!->)[^(:.,>)])+")
INDEX = re.compile(r"-?\d{1,9}(?=->|::|[.,)]|$)")
DIGIT = re.compile(r"\d")
CAST = re.compile(r"[A-Za-z_][\w ]*(?:\[\])*")
OPERATOR = re.compile(r"[a-z]+")
MODIFIER = re.compile(r"\(([^)]+)\)")
NESTED = re.compile(r"((?:not\.)?(?:and|or)) *(?=\()")
BRACES = re.compile(r'\{(?:[^"}]|"[^"]*")*\}')
RANGE = re.compile(r"[\[(][^\[\]()]*[\])]")
PLAIN = re.compile(r"[^,)]*")
SPACES = re.compile(r" *")
FIELD_NAME = "field name (* or [a..z0..9_$])"
T = TypeVar("T")


@dataclass(frozen=True)
class Field:
    """A column, perhaps with a JSON path of (arrow, key) steps; a number is an array's index."""

    name: str
    path: tuple[tuple[str, str | int], ...] = ()

    @property
    def called(self) -> str:
        """The name under which its value is answered: the path's last key, else the column's."""
        return next((key for _, key in reversed(self.path) if isinstance(key, str)), self.name)


@dataclass(frozen=True)
class Item:
    """One selected column."""

    field: Field
    alias: str | None = None
    cast: str | None = None


@dataclass(frozen=True)
class Embed:
    """One embedded resource. Filters address it by ``key``, the name under which it stands in the answer."""

    name: str
    key: str
    hint: str | None
    inner: bool
    select: tuple[Item | Embed, ...]
    spread: bool = False  # ``...name(…)``: its columns stand among its parent's

    @property
    def shown(self) -> bool:
        """Whether anything of it is answered: an empty one, or one of empty ones, only filters."""
        return any(isinstance(item, Item) or item.shown for item in self.select)


Select = tuple[Item | Embed, ...]
ALL: Select = (Item(Field("*")),)


@dataclass(frozen=True)
class Condition:
    """``field operator value``; ``value`` is a tuple for ``in``; ``modifier`` is any, all, or a text search language."""

    field: Field
    operator: str
    value: str | tuple[str, ...]
    negated: bool = False
    modifier: str | None = None

    @property
    def plain_equality(self) -> bool:
        """Whether it is a column's ``eq`` and nothing more."""
        return self.operator == "eq" and not (self.negated or self.modifier or self.field.path)


@dataclass(frozen=True)
class Logic:
    """A tree of conditions joined by ``and`` or ``or``."""

    operator: str
    parts: tuple[Condition | Logic, ...]
    negated: bool = False


@dataclass(frozen=True)
class Order:
    """One term of an ordering, by a column of the embedded resource ``of`` if that is given."""

    field: Field
    direction: str = ""
    nulls: str = ""
    of: str | None = None


@dataclass
class Node:
    """What was asked of one level of the tree: the request's own, or an embedded resource's."""

    filters: list[Condition | Logic] = field(default_factory=list)
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


class Scanner:
    """Reads a text from left to right; every complaint is PostgREST's PGRST100 with the column it happened at."""

    def __init__(self, text: str, what: str, before: int = 0) -> None:
        self.text, self.what, self.at, self.before = text, what, 0, before

    def peek(self, literal: str) -> bool:
        """Whether ``literal`` comes next."""
        return self.text.startswith(literal, self.at)

    def take(self, literal: str) -> bool:
        """Step over ``literal`` if it comes next."""
        found = self.peek(literal)
        self.at += len(literal) * found
        return found

    def expect(self, literal: str) -> None:
        """Step over ``literal``. Raises PGRST100."""
        if not self.take(literal):
            self.fail(f'expecting "{literal}"')

    def match(self, pattern: re.Pattern[str], expecting: str = "") -> str:
        """Step over what ``pattern`` matches, and return its group. Where it does not: "", or PGRST100 if told so."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return self.fail(f"expecting {expecting}") if expecting else ""
        self.at = found.end()
        return str(found[pattern.groups])

    def end(self) -> None:
        """Raise PGRST100 unless nothing is left."""
        if self.at < len(self.text):
            self.fail('expecting "," or end of input')

    def fail(self, expecting: str) -> NoReturn:
        """Raise PGRST100 for what stands here."""
        found = f'"{self.text[self.at]}"' if self.at < len(self.text) else "end of input"
        message = f'"failed to parse {self.what} ({self.text})" (line 1, column {self.before + self.at + 1})'
        raise ApiError("PGRST100", message, f"unexpected {found} {expecting}")

    def quoted(self) -> str:
        """A text in double quotes; a backslash escapes."""
        return re.sub(r"\\(.)", r"\1", self.match(QUOTED, "a closing quote"), flags=re.S)

    def name(self) -> str:
        """A field name, perhaps quoted."""
        if self.peek('"'):
            return self.quoted()
        return self.match(NAME).strip() or self.fail(f"expecting {FIELD_NAME}")

    def field(self) -> Field:
        """A name with its JSON path: ``->key`` and ``->>key``, as many as there are."""
        name, steps = self.name(), list[tuple[str, str | int]]()
        while arrow := self.match(ARROW):
            steps.append((arrow, self.step()))
        return Field(name, tuple(steps))

    def step(self) -> str | int:
        """A JSON path's key, or an index."""
        if index := self.match(INDEX):
            return int(index)
        if self.peek('"'):
            return self.quoted()
        if self.take("-"):
            self.match(DIGIT, "digit")
        return self.match(KEY, '"-", digit or any non reserved character different from: .,>()')

    def cast(self) -> str | None:
        """``::type``, if it is there."""
        return self.match(CAST, "a type name").strip() if self.take("::") else None

    def several(self, read: Callable[[], T]) -> tuple[T, ...]:
        """What ``read`` reads, at least once, between commas."""
        found = [read()]
        while self.take(","):
            found.append(read())
        return tuple(found)


def _whole(text: str, what: str, read: Callable[[Scanner], T]) -> T:
    """What ``read`` makes of the whole text. Raises PGRST100."""
    scan = Scanner(text, what)
    found = read(scan)
    scan.end()
    return found


@lru_cache(2000)
def select(text: str) -> Select:
    """Parse the ``select`` parameter."""
    return _whole(text, "select parameter", _select_list)


def _select_list(scan: Scanner) -> Select:
    if scan.at == len(scan.text):
        return ALL
    return () if scan.peek(")") else scan.several(lambda: _select_item(scan))


def _select_item(scan: Scanner) -> Item | Embed:
    spread = scan.take("...")
    if not spread and scan.take("*"):
        return Item(Field("*"))
    alias, start, name = None, scan.at, scan.name()
    if not spread and scan.peek(":") and not scan.peek("::"):
        scan.take(":")
        alias, start, name = name, scan.at, scan.name()
    hints = []
    while scan.take("!"):
        hints.append(scan.name())
    if name == "count" and not hints and scan.peek("()"):
        raise _aggregate()
    if scan.take("("):
        children = _select_list(scan)
        scan.expect(")")
        hint = next((h for h in hints if h not in ("inner", "left")), None)
        return Embed(name, alias or name, hint, "inner" in hints, children, spread)
    if hints or spread:
        scan.fail('expecting "("')
    scan.at = start
    target, cast = scan.field(), scan.cast()
    if scan.peek("."):
        raise _aggregate()
    return Item(target, alias, cast)


def _aggregate() -> ApiError:
    return ApiError("PGRST123", "Use of aggregate functions is not allowed")  # as on a hosted project


def _condition(scan: Scanner, target: Field, nested: bool) -> Condition:
    """``not.eq.5``; a nested one ends where its logic tree goes on, another at the end of the text."""
    negated, start = scan.take("not."), scan.at
    operator = scan.match(OPERATOR)
    modifier = scan.match(MODIFIER) or None
    quantified = operator in QUANTIFIED and modifier in ("any", "all")
    if operator not in COMPARISONS or not (modifier is None or quantified or operator in FULL_TEXT):
        scan.at = start
        scan.fail('expecting "not" or operator (eq, gt, ...)')
    scan.expect(".")
    at = scan.at
    value: str | tuple[str, ...]
    if operator == "in":
        value = _in_list(scan)
    elif not nested:
        value, scan.at = scan.text[scan.at :], len(scan.text)
    elif scan.peek('"'):
        value = scan.quoted()
    elif scan.peek("{"):
        value = scan.match(BRACES, '"}"')
    else:
        value = (operator in RANGES and scan.match(RANGE)) or scan.match(PLAIN)
    if operator == "is" and str(value).lower() not in IS_VALUES:
        scan.at = at
        scan.fail("expecting isVal: (null, not_null, true, false, unknown)")
    return Condition(target, operator, value, negated, modifier)


def _in_list(scan: Scanner) -> tuple[str, ...]:
    scan.expect("(")
    scan.match(SPACES)
    if scan.take(")"):
        return ()
    values = scan.several(lambda: _in_value(scan))
    scan.expect(")")
    return values


def _in_value(scan: Scanner) -> str:
    scan.match(SPACES)
    return scan.quoted() if LISTED.match(scan.text, scan.at) else scan.match(PLAIN)


def condition(target: Field, text: str) -> Condition:
    """Parse ``not.eq.5`` as asked of a column by a query parameter."""
    return _whole(text, "filter", lambda scan: _condition(scan, target, nested=False))


def logic(operator: str, text: str) -> Logic:
    """Parse ``or=(a.eq.1,and(b.gt.2,c.is.null))``; ``operator`` is and, or, not.and, not.or."""
    return _logic(
        Scanner(text, "logic tree", len(operator)), operator
    )  # what follows it is ignored, as by PostgREST


def _logic(scan: Scanner, operator: str) -> Logic:
    scan.expect("(")
    parts = scan.several(lambda: _logic_part(scan))
    scan.expect(")")
    scan.match(SPACES)
    return Logic(operator.removeprefix("not."), parts, operator.startswith("not."))


def _logic_part(scan: Scanner) -> Condition | Logic:
    scan.match(SPACES)
    if nested := scan.match(NESTED):
        return _logic(scan, nested)
    if not scan.peek('"') and not NAME.match(scan.text, scan.at):
        scan.fail(f"expecting {FIELD_NAME}, negation operator (not) or logic operator (and, or)")
    target = scan.field()
    scan.expect(".")
    found = _condition(scan, target, nested=True)
    scan.match(SPACES)
    return found


@lru_cache(2000)
def order(text: str) -> tuple[Order, ...]:
    """Parse the ``order`` parameter."""
    return _whole(text, "order", lambda scan: scan.several(lambda: _order_term(scan)))


def _order_term(scan: Scanner) -> Order:
    target, direction, nulls, of = scan.field(), "", "", None
    if scan.take("("):
        of, target = target.name, scan.field()
        scan.expect(")")
    while scan.take("."):
        word = scan.name()
        if word in ("asc", "desc") and not direction and not nulls:
            direction = word
        elif word in ("nullsfirst", "nullslast") and not nulls:
            nulls = word
        else:
            scan.fail('expecting "asc", "desc", "nullsfirst" or "nullslast"')
    return Order(target, direction, nulls, of)


def columns(text: str) -> tuple[str, ...]:
    """Parse the ``columns`` or ``on_conflict`` parameter."""
    return _whole(text, "columns parameter", lambda scan: scan.several(scan.name))


def _integer(text: str, what: str) -> int:
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise out_of_range(f"{what} must be an integer, not {text!r}")
    return int(text)


Path = tuple[str, ...]
RESERVED = ("select", "columns", "on_conflict")
RANGED = ("order", "limit", "offset", "and", "or")


def is_condition(key: str, value: str) -> bool:
    """Whether a parameter is part of the query language; of a function called by GET, every other is an argument."""
    try:
        _, _, target = _address(key)
        if key not in RESERVED and target.name not in RANGED:
            condition(target, value)
    except ApiError:
        return False
    return True


@lru_cache(5000)
def _address(key: str) -> tuple[Path, bool, Field]:
    """A parameter's name taken apart: the level it addresses, whether ``not`` stands before a logic word, the rest."""
    scan = Scanner(key, "tree path")
    path, negated, target = [], False, scan.field()
    while scan.take("."):
        if target.name == "not" and scan.text[scan.at :] in ("and", "or"):
            negated = True
        else:
            path.append(target.name)
        target = scan.field()
    scan.end()
    return tuple(path), negated, target


def nodes(params: list[tuple[str, str]]) -> dict[Path, Node]:
    """Sort the parameters by the level of the tree that they address: () is the request's own."""
    found: dict[Path, Node] = {(): Node()}
    for key, value in params:
        if key in RESERVED:
            continue
        path, negated, target = _address(key)
        node = found.setdefault(path, Node())
        if target.name == "order" and not target.path:
            node.order = order(value)
        elif target.name in ("limit", "offset") and not target.path:
            setattr(node, target.name, _integer(value, target.name))
        elif target.name in ("and", "or") and not target.path:
            node.filters.append(logic(("not." if negated else "") + target.name, value))
        else:
            node.filters.append(condition(target, value))
    return found
