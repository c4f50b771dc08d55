"""Web Vitals and weight of a page, as the browser itself measures them (web.dev/articles/vitals)."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page

from core.clock import now_ns
from core.events import Gauge
from core.journal import Journal

OBSERVE = """
window.__vitals = {lcp: 0, cls: 0, inp: 0};
const watch = (type, take, options = {}) => {
  try { new PerformanceObserver(list => list.getEntries().forEach(take)).observe({type, buffered: true, ...options}); }
  catch (error) { /* this browser does not measure it */ }
};
watch('largest-contentful-paint', e => { window.__vitals.lcp = e.startTime; });
watch('layout-shift', e => { if (!e.hadRecentInput) window.__vitals.cls += e.value; });
watch('event', e => { if (e.interactionId) window.__vitals.inp = Math.max(window.__vitals.inp, e.duration); },
      {durationThreshold: 16});
"""
READ = "() => window.__vitals"
WEIGHT = """() => performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))
    .reduce((sum, entry) => sum + (entry.transferSize || 0), 0)"""


@dataclass(frozen=True)
class Vitals:
    """`lcp` and `inp` in milliseconds, `cls` a score, `weight` in bytes over the wire."""

    lcp: float
    cls: float
    inp: float
    weight: int


def observe(context: BrowserContext) -> None:
    """Measures every page that this context opens from now on."""
    context.add_init_script(OBSERVE)


def measure(page: Page) -> Vitals:
    """What the open page measured so far."""
    found = page.evaluate(READ)
    return Vitals(float(found["lcp"]), float(found["cls"]), float(found["inp"]), int(page.evaluate(WEIGHT)))


def record(journal: Journal, name: str, vitals: Vitals) -> None:
    """Records the vitals of page `name`: times as samples, the shift score and the weight as gauges."""
    now = now_ns()
    for metric, value in (("web.lcp", vitals.lcp), ("web.inp", vitals.inp)):
        if value > 0:  # zero: the browser saw nothing to measure
            start = now - int(value * 1e6)
            journal.sample(journal.series(metric, {"page": name}), intended=start, sent=start, done=now)
    journal.write(Gauge("web.cls", vitals.cls, "score", {"page": name}))
    journal.write(Gauge("web.weight", vitals.weight, "bytes", {"page": name}))
