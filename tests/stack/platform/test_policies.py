"""Row-level security as Supabase's advisors judge it."""

from __future__ import annotations

from .conftest import Stack

OVERLAPPING = """
select tablename, role, verb, array_agg(policyname) from pg_policies, unnest(roles) role,
  unnest(case cmd when 'ALL' then array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] else array[cmd] end) verb
where schemaname = 'public' and permissive = 'PERMISSIVE' group by 1, 2, 3 having count(*) > 1"""


def test_one_permissive_policy_for_each_role_and_verb(stack: Stack) -> None:
    """Source: Supabase's database advisors, lint 0006, multiple permissive policies: each is evaluated for each row."""
    assert stack.sql(OVERLAPPING) == []
