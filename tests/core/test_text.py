"""Text from outside, made safe: for every text there is, and for the ones that did harm."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.secret import Redactor
from core.text import capped, for_log, on_one_line, safe, safe_value

ANYTHING = st.text(st.characters(codec=None, categories=None), max_size=200)
BROKEN = st.lists(
    st.sampled_from(["\ud83c", "\udfff", "\x00", "\x1b[31m", "\x9b", "\u202e", "a", "é", "\n", "\r\n", "::"])
)


@given(ANYTHING | BROKEN.map("".join))
def test_safe_text_can_be_written_and_moves_nothing(text):
    said = safe(text)
    said.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff]", said)
    assert safe(said) == said


@given(ANYTHING, st.integers(1, 100))
def test_what_is_cut_is_told(text, limit):
    said = capped(text, limit)
    if len(text) <= limit:
        assert said == text
    else:
        assert f"{len(text) - limit:,} of {len(text):,} characters left out" in said
        assert said.startswith(text[: limit * 3 // 4])


@given(st.integers(0, 5000), st.integers(1, 100))
def test_a_masked_excerpt_tells_how_long_the_whole_was(length, limit):
    said = Redactor().excerpt("x" * length, limit)
    if length > limit:
        assert f"{length - limit:,} of {length:,} characters left out" in said
    assert said.count("x") == min(length, limit)


@given(
    st.lists(
        st.sampled_from(
            ["::", ":", " ", "\t", "\n", "error", "##", "#", "[", "vso[", "::stop-commands::x", "a"]
        )
    )
)
def test_no_line_of_a_log_is_a_command(parts):
    for line in for_log("".join(parts)).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso[" not in line


@pytest.mark.parametrize(
    "text",
    [
        "::error title=x::y",
        "\t::add-mask::a",
        "a\n::stop-commands::t",
        "x ##[group]y",
        "##vso[task.complete]",
        "##teamcity[x]",
    ],
)
def test_known_commands(text):
    said = for_log(text)
    assert said != text
    assert said.replace(": :", "::").replace("# #", "##") == text


def test_ordinary_text_stays_as_it_is():
    for text in (
        "a::b std::vector",
        "## heading",
        "é 日本語 👩‍👩‍👧 می‌خواهم",
        "two\nlines\tand a tab",
        "https://host:1/a",
    ):
        assert safe(text) == text
        assert for_log(text) == text


def test_values_and_first_lines():
    assert safe_value({"a\x00": ["\ud800", 1, None, {"b": "\x1b"}]}) == {
        "a␀": ["\ufffd", 1, None, {"b": "␛"}]
    }
    assert on_one_line("\n  \n first\nsecond") == "first"
    assert on_one_line("a" * 400) == "a" * 299 + "…"
