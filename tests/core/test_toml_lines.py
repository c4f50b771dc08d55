"""The lines of a TOML text: exactly the places that the standard parser finds, each on the line that names it."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from core.toml_lines import lines_of

ROOT = Path(__file__).parents[2]


def places(value, location=()):
    """The location of everything in a parsed document."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in parts:
        yield (*location, key)
        yield from places(inner, (*location, key))


KEYS = st.sampled_from(["a", "b-1", "c_d", "9", '"a.b"', "'it # is'", '"quo\\"te"', '"\\u00e9 ="'])
SCALARS = st.sampled_from(
    [
        "1",
        "-0.5e3",
        "true",
        "1979-05-27 07:32:00",
        "2027-01-31",
        '"# [no] = {comment}, \\" \\\\"',
        "'C:\\'",
        '"""\na = "1"\n[b]\n"" \\\n  c"""""',
        "'''\n]]}\n''''",
        '""',
        "''",
        '""""""',
        "inf",
    ]
)
BLANKS = st.sampled_from(["", " ", "\n", " # ] , }\n", "\n\n\t"])


@st.composite
def values(draw, depth=2):
    kind = draw(st.integers(0, 2)) if depth else 0
    if kind == 1:
        parts = draw(st.lists(st.tuples(BLANKS, values(depth - 1), BLANKS), max_size=3))
        return "[" + ",".join(f"{a}{v}{b}" for a, v, b in parts) + draw(BLANKS) + "]"
    if kind == 2:
        keys = draw(st.lists(KEYS, unique=True, max_size=3))
        return "{ " + ", ".join(f"{k} = {draw(values(depth - 1))}" for k in keys) + " }"
    return draw(SCALARS)


@st.composite
def texts(draw):
    lines = []
    for _ in range(draw(st.integers(0, 6))):
        for key in draw(st.lists(KEYS, unique=True, max_size=3)):
            dotted = draw(st.sampled_from(["", " . x", ".y.z"]))
            lines.append(f"{key}{dotted} = {draw(values())}{draw(st.sampled_from(['', '  # t', '']))}")
        name = ".".join(draw(st.lists(KEYS, min_size=1, max_size=2)))
        lines.append(draw(st.sampled_from(["[{}]", "[[{}]]", "  [ {} ] # [x]", "", "# {}"])).format(name))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@given(texts())
def test_every_place_of_a_text_and_no_other_has_a_line(text):
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        reject()  # pieces that do not go together, the same key twice for one
    lines = lines_of(text)
    assert set(lines) == set(places(document))
    whole = text.replace("\r\n", "\n").split("\n")
    for location, line in lines.items():
        if isinstance(location[-1], str):
            bare = location[-1].replace('"', "").replace("é", "")
            assert bare.strip(" =#") in whole[line - 1].replace('\\"', "").replace("\\u00e9", ""), location


@pytest.mark.parametrize("path", [p for p in ROOT.glob("*/*.toml") if ".assay" not in p.parts], ids=str)
def test_every_place_of_the_files_here(path):
    text = path.read_text()
    assert set(lines_of(text)) == set(places(tomllib.loads(text)))


def test_a_table_below_the_second_element():
    text = "[[a]]\nx = 1\n\n[[a]]\nx = [\n  1,\n  { y = 2 },\n]\n[a.b]\nc.d = 3\n"
    assert lines_of(text) == {
        ("a",): 1,
        ("a", 0): 1,
        ("a", 0, "x"): 2,
        ("a", 1): 4,
        ("a", 1, "x"): 5,
        ("a", 1, "x", 0): 6,
        ("a", 1, "x", 1): 7,
        ("a", 1, "x", 1, "y"): 7,
        ("a", 1, "b"): 9,
        ("a", 1, "b", "c"): 10,
        ("a", 1, "b", "c", "d"): 10,
    }
