"""What belongs to a test person beside their account, as `[people]` of the project's description names it.

It goes before the person does: owned objects keep Supabase from deleting a user (supabase/storage #65).
"""

from __future__ import annotations

from clients.services import auth, database, r2, storage, undoing
from core.description import fill
from core.description.people import PersonUndo
from core.errors import AssayError, BrokenError
from core.run import Run


def remove_person(run: Run, identifier: str) -> None:
    """Removes what a person owns, then the person. Each part is tried even when another fails.

    A table or bucket that the description names and the target does not have holds nothing: no failure.

    Raises BrokenError that names what could not be removed.
    """
    failed: list[str] = []
    for entry in run.target.description.people.undo:
        try:
            _remove(run, entry, identifier)
        except AssayError as error:
            failed.append(str(error))
    try:
        undoing(auth.AuthClient, run).delete_user(identifier)
    except AssayError as error:
        failed.append(str(error))
    if failed:
        raise BrokenError("; ".join(failed))


def _remove(run: Run, entry: PersonUndo, identifier: str) -> None:
    values = {"user": identifier}
    if entry.table:
        rows = undoing(database.DatabaseClient, run)
        rows.as_admin("DELETE", f"/{entry.table}", params={entry.column: f"eq.{identifier}"}).demand(
            200, 204, 404
        )
    elif entry.storage:
        storage.empty_folder(run, entry.storage, str(fill(entry.prefix, values)))
    else:
        r2.empty_folder(run, str(fill(entry.r2, values)))
