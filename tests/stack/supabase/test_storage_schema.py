"""Bodies held against schemas as Ajv does it, with Fastify's settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.supabase.storage import buckets
from stack.supabase.storage.schema import FLAG, TEXT, Schema, Unfit, count, fit, record

NAMES: Schema = {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(("schema", "value", "fitting"), [
    (TEXT, 5, "5"), (TEXT, True, "true"), (TEXT, None, ""), (TEXT, ["a"], "a"), (count(0), "60", 60),
    (count(0), " 1e2 ", 100), (count(0), 2.0, 2), (count(0), None, 0), (count(0), True, 1),
    (FLAG, "true", True), (FLAG, 0, False), (FLAG, None, False),
    (NAMES, "a", ["a"]), (NAMES, [1, None], ["1", ""]), (buckets.LIMIT, "20MB", "20MB"), (buckets.LIMIT, None, None),
    (buckets.LIMIT, "20", 20), (record("a", a=TEXT), {"a": 1, "b": 2}, {"a": "1", "b": 2}),
])  # fmt: skip
def test_what_fits(schema: Schema, value: Any, fitting: Any) -> None:
    assert fit(value, schema, "body") == fitting


@pytest.mark.parametrize(("schema", "value", "words"), [
    (TEXT, ["a", "b"], "body must be string"), (count(1), 0, "body must be >= 1"), (count(0), "1.5", "body must be integer"),
    (count(0), "", "body must be integer"), (count(0), float("inf"), "body must be integer"),
    (FLAG, "yes", "body must be boolean"),
    (NAMES, [], "body must NOT have fewer than 1 items"), (NAMES, [1, 2, 3], "body must NOT have more than 2 items"),
    (NAMES, [{}], "body/0 must be string"), (record(), [], "body must be object"), (record(), None, "body must be object"),
    (record("a b"), {"b": 1}, "body must have required property 'a'"),
])  # fmt: skip
def test_what_does_not_fit(schema: Schema, value: Any, words: str) -> None:
    with pytest.raises(Unfit) as refused:
        fit(value, schema, "body")
    assert str(refused.value) == words


@given(JSON)
def test_what_was_made_to_fit_fits(value: Any) -> None:
    for schema in (TEXT, count(0), FLAG, NAMES, buckets.CREATE, buckets.CHANGE, buckets.LIMIT):
        try:
            fitting = fit(value, schema, "body")
        except Unfit:
            continue
        assert fit(fitting, schema, "body") == fitting
