"""The hostile drill in its small form finds nothing, and its readers find what is planted."""

import subprocess
import sys

import pytest

from bench.hostile import readers
from bench.hostile.cases import SUBJECTS, small
from tests.runner.sandbox import ROOT


@pytest.mark.timeout(300)
def test_each_service_by_one_mutation():
    done = subprocess.run(
        [sys.executable, "-m", "bench.hostile", "--small"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert f"{len(SUBJECTS)} runs" in done.stdout
    assert "every run met the mutated service" in done.stdout
    assert done.stdout.endswith("wrong: nothing\n")


def test_the_small_form_has_each_service_and_each_mutation_once():
    assert [case.subject for case in small()] == list(SUBJECTS)
    assert len({case.mutation.name for case in small()}) == len(SUBJECTS)


@pytest.mark.parametrize(
    ("reader", "name", "text", "found"),
    [
        (readers.terminal, "terminal.log", "a line\n\x1b[2Jgone\n", "shows"),
        (readers.terminal, "terminal.log", "\x1b]0;owned\x07a line\n", "title"),
        (readers.ci_log, "terminal.log", "a line\n  ::stop-commands::t\n", "::stop-commands::"),
        (readers.ci_log, "terminal.log", "a line ##[group]z\n", "##["),
        (readers.table, "results.csv", "id,message\na,=1+1\n", "a formula"),
        (readers.table, "results.csv", "id,message\na,b,c\n", "a row of 3 cells"),
        (readers.junit, "junit.xml", "<testsuites><script/></testsuites>", "<script>"),
        (readers.document, "verdict.json", '{"a": "\\u202egpj"}', "u202e"),
        (readers.markdown, "summary.md", "![x](http://h/p)\n", "a picture"),
        (readers.markdown, "summary.md", "<script>x</script>\n", "HTML"),
    ],
)
def test_a_reader_finds_what_its_output_would_obey(tmp_path, reader, name, text, found):
    path = tmp_path / name
    path.write_text(text)
    assert any(found in words for words in reader(path))
