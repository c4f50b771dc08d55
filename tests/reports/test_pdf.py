"""summary.pdf as a reader of PDFs sees it: any alphabet, tables longer than a page, who signed off."""

import re
import zlib

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

import reports
from reports.rendering import pdf_pages
from reports.rendering.pdf_pages import write_pdf
from reports.rendering.sign_off import sign


def text_of(path):
    """What the pages say in the fonts that every reader has, in the order in which it is drawn."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", path.read_bytes(), re.DOTALL)
    shown = []
    for stream in streams:
        try:
            drawn = zlib.decompress(stream)
        except zlib.error:
            continue
        shown += re.findall(rb"\((.*?)(?<!\\)\) Tj", drawn, re.DOTALL)
    return "\n".join(re.sub(rb"\\(.)", rb"\1", one).decode("windows-1252") for one in shown)


def pages_of(path):
    return len(re.findall(rb"/Type /Page\b(?!s)", path.read_bytes()))


@pytest.fixture
def no_fonts(monkeypatch):
    monkeypatch.setattr(pdf_pages, "FOLDERS", ())


def font_with(letters, path):
    """A font that has these letters and no others."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 0))
    pen.lineTo((500, 700))
    pen.closePath()
    names = [".notdef", *(f"letter{i}" for i in range(len(letters)))]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap(dict(zip(map(ord, letters), names[1:], strict=True)))
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Made", "styleName": "Regular", "psName": "Made-Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)


@pytest.mark.usefixtures("no_fonts")
def test_a_letter_that_no_font_here_has_is_written_as_its_number(tmp_path):
    write_pdf(tmp_path / "a.pdf", "\u0416", [("text", "caf\u00e9 \u2026 \u0416\u5c71 (b)\x07")], "foot")
    assert "caf\u00e9 \u2026 [U+0416][U+5C71] (b) " in text_of(tmp_path / "a.pdf").splitlines()


def test_a_line_in_another_alphabet_is_written_in_a_font_of_this_machine(tmp_path, monkeypatch):
    font_with("\u0416 ", tmp_path / "DejaVuSans.ttf")
    monkeypatch.setattr(pdf_pages, "FOLDERS", (tmp_path,))
    write_pdf(tmp_path / "a.pdf", "t", [("text", "\u0416 \u0416"), ("text", "plain")], "foot")
    assert b"Made" in (tmp_path / "a.pdf").read_bytes()
    assert "U+" not in text_of(tmp_path / "a.pdf")
    assert "plain" in text_of(tmp_path / "a.pdf")


@pytest.mark.usefixtures("no_fonts")
def test_a_table_longer_than_a_page_goes_on_overleaf(tmp_path):
    rows = [("mono", f"row {number}") for number in range(200)]
    write_pdf(tmp_path / "a.pdf", "t", [("head", "Objectives"), *rows], "Made by Assay.")
    said = text_of(tmp_path / "a.pdf").splitlines()
    assert [line for line in said if line.startswith("row")] == [text for _, text in rows]
    assert pages_of(tmp_path / "a.pdf") == sum(line.startswith("Made by") for line in said) == 3


@pytest.mark.usefixtures("no_fonts")
def test_the_verdict_and_who_signed_off_stand_in_the_pdf(judged, tmp_path):
    verdict, directory = judged(), tmp_path / "run"
    sign(directory, "\u0416anna", "seen", verdict.state, verdict.headline)
    reports.write(verdict, directory, writers=["pdf"])
    said = text_of(directory / "summary.pdf")
    assert verdict.headline[:40] in said
    assert "[U+0416]anna" in said
    assert pages_of(directory / "summary.pdf") == 1
