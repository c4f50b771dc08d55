"""Small pictures as inline SVG: no script, no font, no file; told apart by shape and dash, not by colour alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from reports.rendering.formatting import number, quantity


def sparkline(values: Sequence[float], limit: float, states: Sequence[str], label: str) -> str:
    """A line of the last runs; the dot is this run, the dashes are the limit where it is near."""
    if not values:
        return ""
    width, height, pad = 132, 30, 4
    low, high = min(values), max(values)
    near = low <= limit <= high * 1.5 or high <= limit <= high * 1.5
    if near:
        low, high = min(low, limit), max(high, limit)
    span = (high - low) or abs(high) or 1.0
    step = (width - 2 * pad) / max(1, len(values) - 1)

    def y(value: float) -> float:
        return height - pad - (value - low) / span * (height - 2 * pad)

    points = " ".join(f"{pad + i * step:.1f},{y(v):.1f}" for i, v in enumerate(values))
    parts = [f'<polyline points="{points}" class="line"/>']
    if near:
        parts.insert(0, f'<path d="M0 {y(limit):.1f}H{width}" class="limit"/>')
    x = pad + (len(values) - 1) * step
    parts += [
        f'<circle cx="{pad + i * step:.1f}" cy="{y(v):.1f}" r="2.2" class="bad"/>'
        for i, (v, s) in enumerate(zip(values, states, strict=False))
        if s == "missed" and i < len(values) - 1
    ]
    parts.append(f'<circle cx="{x:.1f}" cy="{y(values[-1]):.1f}" r="3" class="now"/>')
    return _svg(width, height, parts, label, "spark")


def interval(
    low: float | None, value: float | None, high: float | None, limit: float, direction: str, unit: str
) -> str:
    """Where the value and its interval lie against the limit: bar, dot, and the limit as a tall line."""
    width, height = 168, 30
    known = [v for v in (low, value, high, limit) if v is not None and math.isfinite(v)]
    if value is None:
        return ""
    if direction == "below":
        start, end = 0.0, max([limit * 1.35, *(v * 1.08 for v in known)])
        if end > limit * 4:
            end = max(known) * 1.05
    else:
        reach = max(abs(v - limit) for v in known) or abs(limit) * 0.01 or 1.0
        start, end = limit - reach * 1.25, limit + reach * 1.25
        if unit == "%":
            end = min(end, 100 + reach * 0.1)
    span = (end - start) or 1.0

    def x(v: float | None, default: float) -> float:
        return 3 + (min(max((default if v is None else v), start), end) - start) / span * (width - 6)

    a, b, m, at = x(low, start), x(high, end), x(limit, limit), x(value, value)
    good = f'<rect x="3" y="12" width="{m - 3:.1f}" height="6" class="good"/>'
    if direction == "above":
        good = f'<rect x="{m:.1f}" y="12" width="{width - 3 - m:.1f}" height="6" class="good"/>'
    parts = [
        f'<rect x="3" y="12" width="{width - 6}" height="6" class="track"/>',
        good,
        f'<path d="M{a:.1f} 15H{max(b, a + 1):.1f}" class="bar"/>',
        f'<circle cx="{at:.1f}" cy="15" r="4.5" class="dot"/>',
        f'<path d="M{m:.1f} 3V27" class="wall"/>',
    ]
    label = (
        f"{quantity(value, unit)}, between {number(low)} and {number(high)}; limit {quantity(limit, unit)}"
    )
    return _svg(width, height, parts, label, "interval")


class Chart:
    """A line chart with axes. Coordinates are data's; `log_y` for latencies that span decades."""

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        unit: str = "",
        x_unit: str = "s",
        log_y: bool = False,
        height: int = 260,
    ) -> None:
        self.title, self.unit, self.x_unit, self.log_y = title, unit, x_unit, log_y
        self.width, self.height = 860, height
        self.left, self.right, self.top, self.bottom = 62, 12, 12, 34
        self.x0, self.x1 = x[0], x[1] if x[1] > x[0] else x[0] + 1
        low, high = y
        if log_y:
            low = max(low, high / 1e6, 1e-6)
            low, high = low / 1.2, max(high, low * 1.5) * 1.2
        elif high <= low:
            high = low + 1
        self.y0, self.y1 = low, high
        self._parts: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def px(self, x: float) -> float:
        """Data to picture, across."""
        return self.left + (x - self.x0) / (self.x1 - self.x0) * (self.width - self.left - self.right)

    def py(self, y: float) -> float:
        """Data to picture, down; clipped to the frame."""
        inner = self.height - self.top - self.bottom
        y = min(max(y, self.y0), self.y1)
        share = (y - self.y0) / (self.y1 - self.y0)
        if self.log_y:
            share = math.log(y / self.y0) / math.log(self.y1 / self.y0)
        return self.height - self.bottom - share * inner

    def line(self, points: Sequence[tuple[float, float | None]], kind: str, name: str = "") -> None:
        """A line; None breaks it. `kind` is a CSS class that also sets the dash."""
        path, pen = [], "M"
        for x, y in points:
            if y is None or not math.isfinite(y):
                pen = "M"
                continue
            path.append(f"{pen}{self.px(x):.1f} {self.py(y):.1f}")
            pen = "L"
        if path:
            self._parts.append(f'<path d="{"".join(path)}" class="l {kind}"/>')
            if name:
                self._legend.append((kind, name))

    def bars(self, points: Sequence[tuple[float, float]], step: float, kind: str, name: str = "") -> None:
        """Bars from zero, each `step` wide in data's units."""
        floor = self.py(self.y0)
        for x, y in points:
            if y > 0:
                a, top = self.px(x), self.py(y)
                wide = max(1.0, self.px(x + step) - a - 0.6)
                tall = max(0.8, floor - top)
                self._parts.append(
                    f'<rect x="{a:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{tall:.1f}" class="b {kind}"/>'
                )
        if name:
            self._legend.append((kind, name))

    def steps(self, points: Sequence[tuple[float, float]], kind: str, name: str = "") -> None:
        """A line that keeps each value until the next."""
        ordered: list[tuple[float, float | None]] = []
        for i, (x, y) in enumerate(points):
            if i and points[i - 1][1] != y:
                ordered.append((x, points[i - 1][1]))
            ordered.append((x, y))
        self.line(ordered, kind, name)

    def whisker(self, x: float, low: float, value: float, high: float, good: bool, title: str) -> None:
        """A value with its interval: a filled dot holds, a cross does not."""
        at, y, size = self.px(x), self.py(value), 4.5
        self._parts.append(f'<path d="M{at:.1f} {self.py(low):.1f}V{self.py(high):.1f}" class="whisker"/>')
        shape = (
            f'<circle cx="{at:.1f}" cy="{y:.1f}" r="{size}" class="held">'
            if good
            else f'<path d="M{at - size:.1f} {y - size:.1f}l9 9m0 -9l-9 9" class="fell">'
        )
        self._parts.append(f"{shape}<title>{escape(title)}</title></{'circle' if good else 'path'}>")

    def limit(self, value: float, name: str) -> None:
        """A dashed line across."""
        if self.y0 <= value <= self.y1:
            y = self.py(value)
            self._parts.append(f'<path d="M{self.left} {y:.1f}H{self.width - self.right}" class="limit"/>')
            end = self.width - self.right - 4
            self._parts.append(
                f'<text x="{end}" y="{y - 5:.1f}" text-anchor="end" class="lab">{escape(name)}</text>'
            )

    def span(self, a: float, b: float, name: str, kind: str = "hatch") -> None:
        """A stretch of the x axis: `hatch` for trouble, `shade` for what is not judged."""
        a, b = max(a, self.x0), min(b, self.x1)
        if b > a:
            x, inner = self.px(a), self.height - self.top - self.bottom
            self._parts.insert(
                0,
                f'<rect x="{x:.1f}" y="{self.top}" width="{max(2.0, self.px(b) - x):.1f}" height="{inner}" '
                f'class="{kind}"><title>{escape(name)}</title></rect>',
            )

    def mark(self, x: float, name: str) -> None:
        """A vertical mark with a word."""
        if self.x0 <= x <= self.x1:
            at = self.px(x)
            self._parts.append(f'<path d="M{at:.1f} {self.top}V{self.height - self.bottom}" class="mark"/>')
            self._parts.append(
                f'<text x="{at + 4:.1f}" y="{self.top + 11}" class="lab">{escape(name)}</text>'
            )

    def render(self, ticks: Sequence[tuple[float, str]] | None = None) -> str:
        """The figure, legend included. `ticks` replaces the x axis' own."""
        parts: list[str] = []
        for value in _ticks(self.y0, self.y1, self.log_y):
            y = self.py(value)
            parts.append(f'<path d="M{self.left} {y:.1f}H{self.width - self.right}" class="grid"/>')
            parts.append(
                f'<text x="{self.left - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
            )
        for value, text in ticks or [(v, number(v)) for v in _ticks(self.x0, self.x1, False, 8)]:
            x = self.px(value)
            parts.append(
                f'<text x="{x:.1f}" y="{self.height - self.bottom + 17}" text-anchor="middle">{text}</text>'
            )
        base = self.height - self.bottom
        parts.append(f'<path d="M{self.left} {base}H{self.width - self.right}" class="axis"/>')
        parts.append(
            f'<text x="{self.width - self.right}" y="{self.height - 3}" text-anchor="end">{escape(self.x_unit)}</text>'
        )
        parts.append(f'<text x="4" y="{self.top + 4}">{escape(self.unit)}</text>')
        legend = "".join(
            f'<li><svg width="26" height="10" aria-hidden="true"><path d="M0 5H26" class="l {kind}"/></svg>'
            f"{escape(name)}</li>"
            for kind, name in self._legend
        )
        picture = _svg(self.width, self.height, [*parts, *self._parts], self.title, "chart")
        label = escape(self.title, quote=True)
        plot = f'<div class="plot" tabindex="0" role="group" aria-label="{label}">{picture}</div>'
        under = f'<ul class="legend">{legend}</ul>' if legend else ""
        return f"<figure><figcaption>{escape(self.title)}</figcaption>{plot}{under}</figure>"


def _ticks(low: float, high: float, log: bool, about: int = 5) -> list[float]:
    if log:
        found = [
            m * 10.0**e
            for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            for m in (1, 2, 5)
            if low <= m * 10.0**e <= high
        ]
        return [v for v in found if f"{v:e}".startswith("1")] if len(found) > 9 else found
    raw = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(s * unit for s in (1, 2, 2.5, 5, 10) if s * unit >= raw)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _svg(width: int, height: int, parts: Sequence[str], label: str, kind: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" class="{kind}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )
