"""The journal: what is written is read back, whatever killed the writer or damaged the file."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ConfigError, JournalError
from core.events import Gauge, LedgerPlanned, Note, NoteLevel, PlatformVersion
from core.evidence import Evidence
from core.journal import FRAME, SAMPLE, Journal
from core.outcome import SampleOutcome
from core.secret import Redactor

ROOT = Path(__file__).parents[2]


def note(text: str) -> Note:
    return Note(NoteLevel.INFO, text)


def samples_of(evidence: Evidence) -> list[tuple[str, int, int]]:
    return [
        (names[int(r["series"])].metric, int(r["intended"]), int(r["outcome"]))
        for _, names, block in evidence.blocks()
        for r in block
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 2**62), st.sampled_from(SampleOutcome)),
        min_size=1,
        max_size=300,
    )
)
@settings(max_examples=40, deadline=None)
def test_samples_are_read_back_in_order(written):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "test", Redactor(), background=False)
        for metric, at, outcome in written:
            journal.sample(journal.series(metric), intended=at, sent=at, done=at, outcome=outcome)
        journal.close()
        assert samples_of(Evidence(Path(folder))) == [(m, t, int(o)) for m, t, o in written]


def test_blocks_and_single_samples_mix(tmp_path):
    journal = Journal(tmp_path, "test", Redactor())
    series = journal.series("perf.database", {"kind": "posts"})
    block = np.zeros(10_000, SAMPLE)
    block["series"] = series
    journal.write_samples(block)
    journal.sample(series, intended=1, sent=2, done=3)
    journal.close()
    found = samples_of(Evidence(tmp_path))
    assert len(found) == 10_001
    assert found[-1] == ("perf.database", 1, 0)


@given(cut=st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_a_file_cut_anywhere_gives_whole_frames_and_no_damage(cut):
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "test", Redactor(), background=False)
        for number in range(100):
            journal.sample(journal.series("m"), intended=number, sent=0, done=0)
            if number % 10 == 9:
                journal.flush()
        journal.close()
        [path] = (Path(folder) / "journal").glob("*.samples")
        path.write_bytes(path.read_bytes()[:cut])
        evidence = Evidence(Path(folder))
        found = [at for _, at, _ in samples_of(evidence)]
        assert found == list(range(len(found)))
        assert len(found) % 10 == 0
        assert evidence.damaged == []


def test_a_damaged_frame_is_named_and_the_rest_is_read(tmp_path):
    journal = Journal(tmp_path, "test", Redactor(), background=False)
    for number in range(3):
        journal.sample(journal.series("m"), intended=number, sent=0, done=0)
        journal.flush()
    journal.close()
    [path] = (tmp_path / "journal").glob("*.samples")
    data = bytearray(path.read_bytes())
    middle = data.index(b"ASF1", data.index(b"ASF1", data.index(b"ASF1") + 1) + 1)
    data[middle + FRAME.size + 8] ^= 0xFF
    path.write_bytes(data)
    evidence = Evidence(tmp_path)
    assert [at for _, at, _ in samples_of(evidence)] == [0, 2]
    assert len(evidence.damaged) == 1
    assert "damaged at byte" in evidence.damaged[0]


def test_a_truncated_line_is_no_damage_and_a_broken_one_is(tmp_path):
    journal = Journal(tmp_path, "test", Redactor())
    journal.write(note("one"))
    journal.close()
    [path] = (tmp_path / "journal").glob("*.jsonl")
    path.write_text(path.read_text() + 'not json\n{"type": "two", "t"')
    evidence = Evidence(tmp_path)
    assert [e.type for e in evidence.events()] == ["journal.opened", "note", "journal.closed"]
    assert evidence.damaged == [f"{path.name} line 4 is not JSON"]


WRITER = """
import sys, time
from pathlib import Path
from core.events import Gauge, Note, NoteLevel
from core.journal import Journal
from core.secret import Redactor
journal = Journal(Path(sys.argv[1]), "victim", Redactor())
series = journal.series("m")
print("ready", flush=True)
while True:
    now = time.monotonic_ns()
    journal.sample(series, intended=now, sent=now, done=now)
    journal.write(Gauge("tick", now, "ns"))
    time.sleep(0.002)
"""


def test_kill_9_loses_at_most_the_last_quarter_second(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    time.sleep(1.5)
    killed = time.monotonic_ns()
    writer.kill()
    writer.communicate()
    evidence = Evidence(tmp_path)
    ticks = evidence.events(Gauge)
    last_sample = max(at for _, at, _ in samples_of(evidence))
    # the bound is 0.25 s of the writer's own time; a starved machine may add to it
    assert killed - ticks[-1].value < 1e9
    assert killed - last_sample < 1e9
    assert not evidence.files[0].closed
    assert evidence.damaged == []


def test_a_durable_event_survives_kill_9_at_once(tmp_path):
    code = WRITER.replace(
        "while True:",
        "journal.write(Note(NoteLevel.INFO, 'precious'), durable=True); print('x', flush=True)\nwhile True:",
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    assert writer.stdout.readline() == b"x\n"
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert Evidence(tmp_path).events(Note)


def test_a_forked_child_writes_a_file_of_its_own(tmp_path):
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom core.journal import Journal\n"
        "from core.events import Gauge, PlatformVersion\nfrom core.secret import Redactor\n"
        "j = Journal(Path(sys.argv[1]), 'fork', Redactor())\ns = j.series('m')\nj.write(PlatformVersion('before'))\n"
        "pid = os.fork()\nj.write(Gauge('child', int(pid == 0), ''))\nj.sample(s, intended=1, sent=1, done=1)\n"
        "if pid: os.waitpid(pid, 0)\nj.close()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    evidence = Evidence(tmp_path)
    assert len(evidence.files) == 2
    assert len(evidence.events(PlatformVersion)) == 1
    assert sorted(e.value for e in evidence.events(Gauge)) == [0, 1]
    assert samples_of(evidence) == [("m", 1, 0), ("m", 1, 0)]


def test_a_full_disk_is_one_sentence_and_keeps_what_was_written(tmp_path):
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom core.errors import JournalError\n"
        "from core.events import LedgerPlanned as Planned\nfrom core.journal import Journal\n"
        "from core.secret import Redactor\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "j = Journal(Path(sys.argv[1]), 'full', Redactor(), background=False)\n"
        "try:\n  for n in range(100_000):\n"
        "    j.write(Planned(str(n), 'filler', {'pad': 'x' * 100}, ''))\n    j.flush()\n"
        "except JournalError as e:\n  print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "could not be written" in done.stdout
    assert len(done.stdout.strip().splitlines()) == 1
    kept = Evidence(tmp_path)
    numbers = [int(e.entry) for e in kept.events(LedgerPlanned)]
    assert len(numbers) > 100
    assert numbers == list(range(len(numbers)))
    assert kept.damaged == []


def test_secrets_never_reach_the_file(tmp_path):
    journal = Journal(tmp_path, "test", Redactor(["hunter2-hunter2"]))
    key = {"hunter2-hunter2": ["x hunter2-hunter2"], "number": 7}
    journal.write(LedgerPlanned("1", "password hunter2-hunter2", key, ""))
    journal.close()
    assert b"hunter2" not in b"".join(p.read_bytes() for p in (tmp_path / "journal").iterdir())


def test_a_folder_without_a_journal_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        Evidence(tmp_path)


def test_an_unwritable_folder_is_one_sentence(tmp_path):
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(JournalError, match="no journal can be opened"):
        Journal(tmp_path, "test", Redactor()).write(note("x"))


def test_millions_of_samples_are_read_block_by_block(tmp_path):
    journal = Journal(tmp_path, "test", Redactor(), background=False)
    block = np.zeros(100_000, SAMPLE)
    block["series"] = journal.series("m")
    for _ in range(20):
        journal.write_samples(block)
    journal.close()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(b) for _, _, b in Evidence(tmp_path).blocks()) == 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
