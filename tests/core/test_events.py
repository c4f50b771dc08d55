"""Every kind of event is read back as it was written, and whatever else a line holds is damage."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from core.event import KINDS
from core.event_lines import FORMAT, ForeignFormat, from_line, plain, to_line
from core.events import (
    CheckFinished,
    JournalOpened,
    LedgerFailed,
    LedgerLeft,
    LedgerPlanned,
    Note,
    NoteLevel,
)
from core.outcome import CheckOutcome
from core.passport import Passport
from core.secret import Redactor
from core.text import safe

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: safe(text) == text)
"""Text as evidence holds it; what a terminal or a page would take for a command is made neutral (core/text.py)."""
WHOLE = st.integers(-(2**62), 2**62)
PLAIN = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
st.register_type_strategy(str, TEXT)
st.register_type_strategy(int, WHOLE)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
PASSPORTS = st.builds(
    Passport,
    id=st.from_regex(r"[a-z]{1,4}\.[a-z]{1,4}", fullmatch=True),
    title=TEXT.filter(bool),
    owner=TEXT.filter(bool),
    requirement=st.just(("P1.2", "KV")),
    service=TEXT.filter(bool),
    needs=st.just(("auth.email",)),
    timeout=st.floats(1, 20),
    why_slow=st.just(""),
)
st.register_type_strategy(Passport, PASSPORTS)
FREE = {"key": dict[str, JsonValue], "settings": dict[str, JsonValue]}
"""Fields that hold any JSON."""


def events(kind):
    """Any event of a kind."""
    free = {
        one.name: st.dictionaries(TEXT, PLAIN, max_size=3)
        for one in dataclasses.fields(kind)
        if one.name in FREE and "JsonValue" in str(one.type)
    }
    return st.builds(kind, **{one.name: st.from_type(hints(kind)[one.name]) for one in dataclasses.fields(kind)
                              if one.name not in free}, **free)  # fmt: skip


def hints(kind):
    import typing

    return typing.get_type_hints(kind)


def of_format(event):
    """A journal's first line says this version's format."""
    return dataclasses.replace(event, format=FORMAT) if isinstance(event, JournalOpened) else event


ANY = st.sampled_from(sorted(KINDS)).flatmap(lambda name: events(KINDS[name])).map(of_format)


@given(ANY, WHOLE)
@settings(max_examples=400, deadline=None)
def test_every_event_is_read_back_as_it_was_written(event, t):
    read = from_line(to_line(event, t, Redactor()), "main-1")
    assert (read.event, read.t, read.source) == (event, t, "main-1")


@given(ANY, st.data())
@settings(max_examples=400, deadline=None)
def test_a_line_with_a_field_that_is_missing_surplus_or_of_another_type_is_damage(event, data):
    document = json.loads(to_line(event, 5, Redactor()))
    name = data.draw(st.sampled_from(sorted(document)))
    change = data.draw(st.sampled_from(["missing", "surplus", "another type"]))
    if change == "missing":
        del document[name]
    elif change == "surplus":
        document["surplus of the test"] = document[name]
    else:
        document[name] = [{"of another": "type"}]
    with pytest.raises(ValueError, match=r".+"):
        from_line(json.dumps(document).encode())


@given(st.binary(max_size=60) | PLAIN.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_what_is_no_event_is_a_sentence(line):
    with pytest.raises(ValueError, match=r"^(is|of kind) "):
        from_line(line)


FINISHED = CheckFinished("a.b", 1, CheckOutcome.MISSED, "m", "kv", "", "", 0.5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"outcome": "passed"}, "outcome: Input should be 'met', 'missed'"),
        ({"type": "check.ended"}, "a kind that nobody knows, 'check.ended'"),
        ({"attempt": "1"}, "attempt: Input should be a valid integer"),
        ({"attempt": True}, "attempt: Input should be a valid integer"),
        ({"seconds": float("nan")}, "seconds: Input should be a finite number"),
        ({"t": None}, "has no time"),
        ({"message": None}, "message: Input should be a valid string"),
    ],
)
def test_damage_says_where_it_is(change, says):
    document = {**json.loads(to_line(FINISHED, 1, Redactor())), **change}
    with pytest.raises(ValueError, match=says):
        from_line(json.dumps(document).encode())


def test_a_part_that_is_not_whole_is_damage():
    """A passport without `gate` would be taken for one that decides, or for one that does not."""
    from core.events import CheckCollected

    passport = Passport("a.b", "t", "o", ("KV",), "kv", ("cache.kv",), gate=False)
    document = json.loads(to_line(CheckCollected("a.b", passport, "n"), 1, Redactor()))
    assert from_line(json.dumps(document).encode()).event.passport == passport
    del document["passport"]["gate"]
    with pytest.raises(ValueError, match="not whole"):
        from_line(json.dumps(document).encode())


def test_a_journal_of_another_format_is_refused_as_a_whole(tmp_path):
    from core.evidence import Evidence

    (tmp_path / "journal").mkdir()
    lines = [
        {"type": "journal.opened", "t": 1, "format": 1},
        {"type": "check.finished", "t": 2, "check": "a"},
    ]
    (tmp_path / "journal" / "main-1.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    evidence = Evidence(tmp_path)
    assert evidence.events() == []
    assert evidence.damaged == [
        "main-1.jsonl is of format 1; this version of Assay reads journals of format 3 alone"
    ]
    with pytest.raises(ForeignFormat):
        from_line(json.dumps(lines[0]).encode())


def test_half_a_character_is_written_as_what_utf_8_can_hold():
    line = to_line(Note(NoteLevel.INFO, "half \ud83c of one"), 1, Redactor())
    assert from_line(line).event.text == "half \ufffd of one"


def test_what_an_event_cannot_hold_is_refused_where_it_is_written():
    with pytest.raises(TypeError, match="an event cannot hold object"):
        to_line(Note(NoteLevel.INFO, object()), 1, Redactor())


def test_every_field_stands_in_the_line():
    assert set(plain(FINISHED)) | {"type", "t"} == set(json.loads(to_line(FINISHED, 1, Redactor())))


def test_what_a_service_says_of_a_ledgers_thing_is_words_and_its_key_exact():
    key = {"name": "a\x00b\x1b[31m"}
    events = [LedgerFailed("1", "kv.prefix", "says \x00\x1b[31m"), LedgerLeft("1", "kv.prefix", "a \x00")]
    for event in events:
        line = to_line(event, 1, Redactor())
        assert not {"\x00", "\x1b"} & set("".join(map(str, json.loads(line).values())))
    assert json.loads(to_line(LedgerPlanned("1", "kv.prefix", key, "a.b"), 1, Redactor()))["key"] == key
