"""What the attacks on uploads judge by: which answers a browser runs, under which name it keeps them, and what is made."""

from __future__ import annotations

import gzip
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites.security.auth.forging import KNOWN_SECRETS, Forger, OwnKey, shared, token
from suites.security.upload.hostile import (
    contents,
    could_be_a_script,
    jpeg_with_place,
    names_a_place,
    packed,
    png,
    stated_name,
    would_run,
)

SAFE = {"x-content-type-options": "nosniff"}


@pytest.mark.parametrize(
    ("headers", "runs"),
    [
        ({"content-type": "text/html; charset=utf-8"}, True),
        ({"content-type": "IMAGE/SVG+XML", **SAFE}, True),
        ({"content-type": "application/atom+xml", **SAFE}, True),
        ({"content-type": "text/html", "content-disposition": "inline; filename=a.html"}, True),
        ({"content-type": "text/html", "content-security-policy": "sandbox allow-scripts"}, True),
        ({}, True),
        ({"content-type": "text/html", "content-disposition": "Attachment"}, False),
        ({"content-type": "text/html", "content-security-policy": "default-src 'none'; sandbox"}, False),
        ({"content-type": "image/png"}, False),
        ({"content-type": "text/plain", **SAFE}, False),
        (SAFE, False),
    ],
)
def test_which_answers_a_browser_runs(headers, runs):
    assert bool(would_run(headers)) is runs


@pytest.mark.parametrize(
    ("headers", "loads"),
    [
        ({"content-type": "text/javascript", **SAFE}, True),
        ({"content-type": "application/x-javascript", **SAFE}, True),
        ({"content-type": "application/octet-stream"}, True),
        ({"content-type": "application/octet-stream", **SAFE}, False),
        ({"content-type": "image/png"}, False),
    ],
)
def test_which_answers_a_page_may_load_as_a_script(headers, loads):
    assert bool(could_be_a_script(headers)) is loads


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_extended_name_is_read_whole(name):
    assert stated_name(f"attachment; filename=\"plain\"; filename*=UTF-8''{quote(name, safe='')}") == name


def test_a_plain_name_ends_where_its_quotes_do():
    assert stated_name('attachment; filename="a\\"b.png"; x=1') == 'a"b.png'
    assert stated_name("attachment; filename=a.png; x=1") == "a.png"
    assert stated_name("attachment") == ""


def test_what_is_made_is_what_it_is_called():
    assert len({(one.declared, one.data) for one in contents()}) == len(list(contents()))
    assert gzip.decompress(packed(3 * 2**20 + 7)) == bytes(3 * 2**20 + 7)
    assert png().startswith(b"\x89PNG\r\n\x1a\n")
    assert names_a_place(jpeg_with_place())
    assert not names_a_place(jpeg_with_place().replace(b"Exif", b"none")[:20])


def test_no_forged_token_is_good_by_the_published_key_alone():
    project, now = OwnKey(), 2_000_000_000
    header = {"typ": "JWT", "alg": "ES256", "kid": project.kid}
    own, victim = (token(header, {"sub": who, "exp": now}, project.sign) for who in ("attacker", "victim"))
    key = jwt.PyJWK(project.jwk).key
    assert jwt.decode(victim, key, ["ES256"])["sub"] == "victim"
    forged = Forger(own, victim, {"keys": [project.jwk]}, "public").all()
    assert len(forged) > 40
    for name, made in forged.items():
        with pytest.raises(jwt.InvalidTokenError):
            raise AssertionError(f"{name}: {jwt.decode(made, key, ['ES256'])}")
    secret = KNOWN_SECRETS[4]
    made = token({"alg": "HS256"}, {"sub": "x"}, shared(secret.encode()))
    assert jwt.decode(made, secret, ["HS256"]) == {"sub": "x"}  # by the same words a weak project takes it
