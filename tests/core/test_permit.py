"""What may be contacted: a host with its port and scheme, where the target names those."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import PermitError
from core.permit import EVERYTHING, Permit

SCHEMES = st.sampled_from(["http", "https", "ws", "wss", "postgresql"])
HOSTS = st.sampled_from(["a.example", "b.a.example", "127.0.0.1", "[::1]", "other.example"])
PORTS = st.sampled_from([80, 443, 5432, 8000])
SAME = {"ws": "http", "wss": "https"}


def permit(*hosts):
    return Permit(EVERYTHING, frozenset(hosts))


@pytest.mark.parametrize(
    ("named", "asked", "allowed"),
    [
        ("https://a.example", "https://a.example/x?y#z", True),
        ("https://a.example", "https://a.example:443", True),
        ("https://a.example", "wss://a.example/socket", True),
        ("https://a.example", "https://A.Example/", True),
        ("https://a.example", "a.example", True),
        ("https://a.example", "http://a.example", False),
        ("https://a.example", "https://a.example:8443", False),
        ("https://a.example", "https://b.a.example", False),
        ("https://a.example", "https://a.example.evil.example", False),
        ("https://a.example", "https://a.example@evil.example/", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8001", False),
        ("http://127.0.0.1:8000", "http://localhost:8000", False),
        ("postgresql://u:p@db.example/x", "postgres://db.example:5432/y", True),
        ("postgresql://u:p@db.example/x", "https://db.example", False),
        ("a.example", "http://a.example:9999", True),
        ("a.example:8443", "https://a.example:8443", True),
        ("a.example:8443", "https://a.example", False),
        ("*.a.example", "https://b.a.example", True),
        ("*.a.example", "https://a.example", False),
        ("https://a.example", "", False),
        ("https://a.example", "file:///etc/passwd", False),
        ("https://a.example", "https://a.example:99999", False),
    ],
)
def test_an_address_is_permitted_or_refused(named, asked, allowed):
    if allowed:
        assert permit(named).contact(asked) == asked
    else:
        with pytest.raises(PermitError, match="is not one of this target's"):
            permit(named).contact(asked)


@given(SCHEMES, HOSTS, PORTS, SCHEMES, HOSTS, PORTS)
def test_scheme_host_and_port_must_all_be_named(scheme, host, port, asked_scheme, asked_host, asked_port):
    named = permit(f"{scheme}://{host}:{port}")
    same = (SAME.get(scheme, scheme), host, port) == (
        SAME.get(asked_scheme, asked_scheme),
        asked_host,
        asked_port,
    )
    assert named.names(f"{asked_scheme}://{asked_host}:{asked_port}/path") is same
