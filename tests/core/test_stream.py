"""Output of a process as it is passed on: nothing lost, nothing commanded, whatever the pieces it comes in."""

from hypothesis import given
from hypothesis import strategies as st

from core.stream import SafeStream

PARTS = st.lists(
    st.sampled_from(
        [
            b"::error::x",
            b"\n",
            b".",
            b" ",
            b"##[group]",
            b"\x1b[31m",
            b"word",
            b"\xf0\x9f",
            b"\x98\x80",
            b"\r\n",
            b"\xff",
        ]
    ),
    max_size=30,
)


def passed(pieces, mask=lambda text: text, **words):
    stream = SafeStream(mask, **words)
    return "".join([*(stream.take(piece) for piece in pieces), stream.take(b"", last=True)])


@given(PARTS, st.integers(1, 7))
def test_the_pieces_do_not_matter_and_nothing_commands(parts, size):
    data = b"".join(parts)
    said = passed([data[i : i + size] for i in range(0, len(data), size)])
    assert "\x1b" not in said
    for line in said.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    assert said.count("word") == data.count(b"word")


def test_dots_are_shown_as_they_come_and_a_secret_across_pieces_is_masked():
    stream = SafeStream(lambda text: text.replace("topsecret", "***"))
    assert stream.take(b"...") == "..."
    assert stream.take(b"F") == "F"
    assert stream.take(b"\nthe tops") == "\n"
    assert stream.take(b"ecret\n") == "the ***\n"


def test_a_flood_ends_with_a_sentence():
    said = passed([b"x" * 1000 + b"\n"] * 100, most=5000)
    assert len(said) < 5200
    assert "more than 5,000 characters: the rest is left out" in said
