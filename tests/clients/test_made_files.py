"""Made-up files: the same again from the same seed, and nothing that a platform refuses by its first bytes."""

from __future__ import annotations

import hashlib

from clients.made_files import PROGRAMS, MadeFile, made_bytes


def test_no_file_begins_as_a_program() -> None:
    unlucky = next(s for s in map(str, range(10**6)) if hashlib.shake_128(s.encode()).digest(2) in PROGRAMS)
    assert not made_bytes(unlucky, 100).startswith(PROGRAMS)
    assert made_bytes(unlucky, 100) == MadeFile("a.bin", 100, unlucky).data
