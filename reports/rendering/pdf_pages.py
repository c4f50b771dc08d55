"""A PDF as lines of text on A4 pages, whatever alphabet the text is written in."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from fpdf import FPDF

Line = tuple[str, str]
"""A style (a key of STYLES) and what the line says."""
STYLES = {
    "title": ("Helvetica", "B", 17.0),
    "head": ("Helvetica", "B", 11.0),
    "text": ("Helvetica", "", 8.8),
    "mono": ("Courier", "", 7.4),
}
"""Each style's font, its weight and its size in points."""
ENCODING = "windows-1252"
"""What the fonts that every reader of PDFs has can write."""
FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts/Supplemental",
)
WIDE = {
    "Helvetica": (
        "DejaVuSans.ttf",
        "NotoSans-Regular.ttf",
        "LiberationSans-Regular.ttf",
        "Arial Unicode.ttf",
    ),
    "Courier": ("DejaVuSansMono.ttf", "NotoSansMono-Regular.ttf", "LiberationMono-Regular.ttf"),
}
"""Fonts of many alphabets that a machine may have, in place of those that every reader has."""
LEFT, TOP, BOTTOM = 18.0, 14.0, 282.0
"""Millimetres from the page's left and upper edge."""
POINT = 25.4 / 72


def write_pdf(path: Path, title: str, lines: Sequence[Line], foot: str) -> None:
    """Writes the lines on as many pages as they need, `foot` below each.

    A line with a letter that ENCODING lacks is written in a font of this machine; a letter that this lacks, too,
    as its number ([U+4E2D]), so that nothing is lost.
    """
    document = FPDF(format="A4")
    document.core_fonts_encoding = ENCODING
    document.set_auto_page_break(False)
    document.set_title(title)
    document.set_creator("Assay")
    wide: dict[str, str] = {}
    y = BOTTOM
    for style, text in lines:
        family, weight, size = STYLES[style]
        height = size * POINT * (1.1 if style == "title" else 0.92) + 0.75
        above = 3.0 if style == "head" else 0.0
        if y + above + height > BOTTOM:
            document.add_page()
            y, above = TOP, 0.0
            document.set_font("Helvetica", "", 7)
            document.text(LEFT, BOTTOM + 6, f"{foot}  Page {document.page_no()}.")
        y += above + height
        _write(
            document, wide, y, (family, weight, size), "".join(c if c.isprintable() else " " for c in text)
        )
    document.output(str(path))


def _write(document: FPDF, wide: dict[str, str], y: float, font: tuple[str, str, float], text: str) -> None:
    family, weight, size = font
    document.set_font(family, weight, size)
    if not _fits(text):
        if family not in wide:
            path = next((p for name in WIDE[family] for p in _machine_fonts(name)), None)
            wide[family] = f"{family}-wide" if path else ""
            if path:
                document.add_font(wide[family], "", path)
        if wide[family]:
            document.set_font(wide[family], "", size)
            known: Container[int] = getattr(document.current_font, "cmap", {})
            text = "".join(c if ord(c) in known else _number(c) for c in text)
        else:
            text = "".join(c if _fits(c) else _number(c) for c in text)
    document.text(LEFT, y, text)


def _number(letter: str) -> str:
    return f"[U+{ord(letter):04X}]"


def _fits(text: str) -> bool:
    try:
        text.encode(ENCODING)
    except UnicodeEncodeError:
        return False
    return True


def _machine_fonts(name: str) -> list[Path]:
    return [path for folder in FOLDERS for path in sorted(Path(folder).rglob(name))]
