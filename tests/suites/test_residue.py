"""What a check makes is gone afterwards, counted by SQL and S3, also when the check failed."""

from __future__ import annotations

import pytest

from clients import embedded
from clients.service_clients import ServiceClients
from clients.services import catalogue
from core.events import LedgerConfirmed
from core.evidence import Evidence
from core.ledger import left_over
from core.run import Run
from tests.suites.always_200_mock import Always200Mock
from tests.suites.verdicts import on_live

CHECKS = "storage.large_file_to_r2,database.profile_and_post,content.page_changes,reality.content"


@pytest.mark.timeout(300)
def test_nothing_is_left_behind(tmp_path):
    """Two checks that are met, and two that fail since Builder.io lies; then every planned thing is looked for."""
    with embedded.attach() as stack:
        mock = Always200Mock("builder", stack.variables)
        try:
            finished = on_live(tmp_path, mock.environment, "--checks", CHECKS)
        finally:
            mock.close()
        outcomes = sorted(e.outcome for e in finished.values())
        assert outcomes.count("met") == 2, outcomes
        assert len(outcomes) == 4

        events = Evidence(tmp_path / "run").events()
        assert left_over(events) == []
        people = [e.key["id"] for e in events if isinstance(e, LedgerConfirmed) and e.key.get("local")]
        assert len(people) >= 2

        run = Run.begin(tmp_path / "witness", stack.target(catalogue()), "test")
        with ServiceClients(run) as services:
            for person in people:
                sql = services.database.demand_sql()
                for table, column in (
                    ("auth.users", "id"),
                    ("public.profiles", "id"),
                    ("public.posts", "author_id"),
                    ("public.files", "owner_id"),
                    ("public.uploads", "owner_id"),
                ):
                    assert (
                        sql.value(f"select count(*) from {table} where {column}::text = %s", (person,)) == 0
                    ), table
                assert services.r2.s3.keys(f"{person}/") == []
                assert services.storage.keys(person) == []
        run.journal.close()
