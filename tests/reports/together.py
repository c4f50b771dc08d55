"""Two writers of one history at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

from reports import History
from reports.judging.model import RunVerdict


def record_together(where: Path | str, verdicts: list[RunVerdict], times: int) -> list[BaseException]:
    """Each of two threads records half of the runs so many times over; returns what failed."""
    failures: list[BaseException] = []

    def work(part: list[RunVerdict]) -> None:
        try:
            history = History(where)
            for verdict in part * times:
                history.record(verdict)
            history.close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(verdicts[i::2],)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures
