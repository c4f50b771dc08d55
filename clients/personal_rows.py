"""What belongs to a test person beside their account, as `[people]` of the project's description names it.

It goes before the person does: owned objects keep Supabase from deleting a user (supabase/storage #65).
"""

from __future__ import annotations

from clients.services import auth, database, r2, storage, undoing
from core.description import fill
from core.description.people import PersonUndo
from core.errors import AssayError, BrokenError, Missed
from core.run import Run


def remove_person(run: Run, identifier: str) -> None:
    """Removes what a person owns, then the person. Each part is tried even when another fails.

    Raises BrokenError that names what could not be removed.
    """
    failed = _remove_belongings(run, identifier)
    try:
        undoing(auth.AuthClient, run).delete_user(identifier)
    except Missed as error:  # Auth's own words: a row still names the person
        mend = "name its table under [people] undo in target.toml, or give its foreign key an ON DELETE"
        failed.append(f"{error.service}: {error.saw}; {mend}")
    except AssayError as error:
        failed.append(str(error))
    if failed:
        raise BrokenError("; ".join(failed))


def remove_belongings(run: Run, identifier: str) -> None:
    """Removes what a person owns, so that Auth can delete them. Raises BrokenError that names what could not be removed."""
    if failed := _remove_belongings(run, identifier):
        raise BrokenError("; ".join(failed))


def _remove_belongings(run: Run, identifier: str) -> list[str]:
    """A table or bucket that the description names and the target does not have holds nothing: no failure."""
    failed: list[str] = []
    for entry in run.target.description.people.undo:
        try:
            _remove(run, entry, identifier)
        except AssayError as error:
            failed.append(str(error))
    return failed


def _remove(run: Run, entry: PersonUndo, identifier: str) -> None:
    values = {"user": identifier}
    if entry.table:
        rows = undoing(database.DatabaseClient, run)
        schema, _, table = entry.table.rpartition(".")
        where = {entry.column: f"eq.{identifier}"}
        answer = rows.as_admin("DELETE", f"/{table}", params=where, schema=schema)
        if answer.code == "PGRST106" and rows.sql:  # REST does not speak of that schema
            rows.sql.remove(schema, table, entry.column, identifier)
        else:
            answer.demand(200, 204, 404)
    elif entry.storage:
        storage.empty_folder(run, entry.storage, str(fill(entry.prefix, values)))
    else:
        r2.empty_folder(run, str(fill(entry.r2, values)))
