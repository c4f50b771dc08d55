"""Secrets mask themselves and the redactor finds them in every usual dress."""

import base64
import html
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.secret import MASK, Redactor, Secret, named_secrets

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=8, max_size=40)


def test_a_secret_never_prints():
    secret = Secret("s3cr3t-value")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", json.dumps({"s": str(secret)})):
        assert "s3cr3t" not in shown
    assert secret.reveal() == "s3cr3t-value"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


@given(words)
def test_every_dress_of_a_secret_is_masked(value):
    redactor = Redactor([value])
    deep = value
    for _ in range(3):  # a page that kept an answer as text, in a trace
        deep = json.dumps(deep)[1:-1]
    dresses = [
        deep,
        html.escape(value).encode().decode("latin-1"),
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        json.dumps(json.dumps(value))[3:-3],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        value.encode().hex(),
        repr(value.encode())[2:-1],
        base64.b64encode(value.encode()).decode().rstrip("="),
    ]
    for dress in dresses:
        if dress not in MASK:
            assert dress not in redactor.text(f"before {dress} after")


@given(words, st.binary(max_size=9), st.binary(max_size=9))
def test_a_secret_within_something_encoded_as_base64_is_masked(value, before, after):
    """`user:secret` of an Authorization header, for one. What stays are the characters that it shares with others."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(before + value.encode() + after).decode()
        left = Redactor([value]).text(whole).split(MASK)
        assert len(left) > 1
        shown = "".join(left)
        assert len(shown) * 6 / 8 <= len(before) + len(after) + 5


@given(words, st.binary(max_size=20), st.binary(max_size=20))
def test_a_secret_in_bytes_is_masked(value, before, after):
    masked = Redactor([value]).bytes(before + value.encode() + after)
    assert value.encode() not in masked.replace(MASK.encode(), b"")


@given(st.dictionaries(st.text(), st.integers() | st.floats(allow_nan=False) | st.none()))
def test_numbers_and_shape_survive_redaction(value):
    assert len(Redactor(["123456"]).value({"n": value})["n"]) <= len(value)
    assert Redactor(["123456"]).value([1234567, 1.5, None, True]) == [1234567, 1.5, None, True]


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "sb_secret_N7UND0UgjKTVK-Uodkm0Hg",
        "authorization: Bearer abcdefghijklmnop",
        "https://h/x?token=abcdef123456",
        "postgresql://postgres:pa55word@host/db",
        "https://b/k?X-Amz-Signature=0123456789abcdef",
    ],
)
def test_what_looks_like_a_token_is_masked_unasked(text):
    assert MASK in Redactor().text(text)


def test_a_password_inside_an_address_becomes_known():
    redactor = Redactor(["postgresql://postgres:pa55word@host/db"])
    assert "pa55word" not in redactor.text("the password is pa55word")


def test_bytes_keep_their_length_elsewhere():
    redactor = Redactor(["topsecretvalue"])
    data = bytes(range(256)) + b"topsecretvalue" + bytes(range(256))
    assert redactor.bytes(data) == bytes(range(256)) + MASK.encode() + bytes(range(256))


def test_the_longest_secret_is_masked_whole_and_all_of_thousands_are():
    redactor = Redactor(["secret-1", "secret-12", "secret"])
    assert redactor.text("secret-12 secret-1 secret") == f"{MASK} {MASK} {MASK}"
    many = [f"value-{n:05d}-of-many" for n in range(3000)]
    for value in many:
        redactor.add(value)
    assert redactor.text(" ".join(many)) == " ".join([MASK] * len(many))
    assert redactor.text("short") == "short"


REFRESH = "kx3vbq7wnm2a"
SPOKEN = {
    "an answer of Auth": json.dumps({"expires_in": 3600, "refresh_token": REFRESH}),
    "in a trace's line": json.dumps({"text": json.dumps({"refresh_token": REFRESH})}),
    "in a trace of a page that kept it": json.dumps(
        json.dumps({"s": json.dumps({"refresh_token": REFRESH})})
    ),
    "in a page's source": html.escape(json.dumps({"refresh_token": REFRESH})),
    "a fragment": f"https://h/reset#access_token=x&refresh_token={REFRESH}&sb=1",
    "a link in a mail's source": f"https://h/auth/v1/verify?type=recovery&amp;token={REFRESH}&amp;redirect_to=x",
    "an address in JSON": f"https://h/?a=b\\u0026code={REFRESH}",
    "an address within an address": f"https://h/login?next=https%3A%2F%2Fi%2F%3Fcode%3D{REFRESH}%26state%3D1",
    "twice encoded": f"https://h/?u=https%253A%252F%252Fi%252F%253Fcode%253D{REFRESH}",
    "the exchange of a code": json.dumps({"auth_code": "x", "code_verifier": REFRESH}),
    "a signed link": f"https://h/api/files/1/content?version=1&exp=2&sig={REFRESH}",
}


@pytest.mark.parametrize("where", SPOKEN)
def test_what_a_text_calls_a_token_is_masked_and_told_to_who_asks(where):
    """A session that a page made is known from nowhere else."""
    text = SPOKEN[where]
    assert REFRESH not in Redactor().text(text)
    assert REFRESH in set(named_secrets(text))


def test_words_and_public_keys_are_no_tokens():
    for text in (
        "https://h/?code=over_request_rate_limit",
        '{"code": "PGRST116", "token_type": "bearer"}',
        "https://h/?apikey=0123456789abcdef",
        "https://h/?code=500",
    ):
        assert list(named_secrets(text)) == []
    assert Redactor().text('{"code": "PGRST116", "message": "no token=1 here"}').count(MASK) == 0
