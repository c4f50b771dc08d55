"""Values on their way to PostgreSQL and back through a pipeline."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stack.supabase.pipeline import DataError, Pipeline, SqlError, UniqueViolation
from tests.stack.supabase import engine

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
NUMBERS = st.integers() | st.sampled_from([0.5, -2.25])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def ask(cluster: engine.Postgres) -> Iterator[Ask]:
    """Runs one statement over one connection; gives the first value."""
    with asyncio.Runner() as runner:
        connecting = Pipeline.connect(cluster.dsn("supabase_admin"), "tests", timezone="UTC")
        connection = runner.run(connecting)
        yield lambda sql, *values: runner.run(connection.fetchval(sql, *values))
        connection.terminate()


@given(st.lists(st.none() | TEXT, max_size=5), st.dictionaries(TEXT, JSON, max_size=3), TIMES)
@settings(deadline=None)
def test_values_come_back_as_they_went(
    ask: Ask, items: list[str | None], document: dict[str, Any], time: datetime
) -> None:
    assert ask("select $1::text[]", items) == items
    assert ask("select $1::jsonb", document) == document
    assert ask("select $1::timestamptz", time) == time


def test_other_values(ask: Ask) -> None:
    one = uuid.uuid4()
    assert ask("select $1::uuid", one) == one
    assert ask("select $1::uuid", str(one)) == one
    assert ask("select $1::bool and $2::int = 3", True, 3) is True
    assert ask("select $1::text", None) is None
    assert ask("select 1 where false") is None


@pytest.mark.parametrize(("sql", "kind"), [
    ("insert into storage.buckets (id, name) values ('shelf', 'shelf')", UniqueViolation),
    ("do $$ begin raise exception 'no'; end $$", SqlError), ("select 'a'::int", DataError),
    ("select nothing", SqlError),
])  # fmt: skip
def test_refusals_have_kinds_and_leave_the_connection_well(ask: Ask, sql: str, kind: type[SqlError]) -> None:
    with pytest.raises(SqlError) as refused:
        ask(sql)
    assert type(refused.value) is kind
    with pytest.raises(DataError):
        ask("select $1::text", "a\0b")
    assert ask("select 1") == 1


def test_a_table_with_new_columns_costs_one_connection(cluster: engine.Postgres) -> None:
    async def play() -> None:
        one = await Pipeline.connect(cluster.dsn("supabase_admin"), "tests")
        await one.execute("create temporary table grown (a int)")
        assert await one.fetch("select * from grown") == []
        await one.execute("alter table grown add b int")
        with pytest.raises(ConnectionError):
            await one.fetch("select * from grown")
        assert one.is_closed()

    asyncio.run(play())
