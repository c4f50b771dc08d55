"""What the rules cost and find, by simulation. `python -m bench.simulate intervals|regression [--runs N]`.

intervals: thousands of made runs, independent, waving (autocorrelated) and with stalls, judged against limits
just inside and just outside the truth. False `met` and false `missed` must stay under the stated risk.
regression: nights of pure noise (false alarms) and nights that became slower (detection), for our rules and
the usual alternatives.
"""

from __future__ import annotations

from bench.simulate.nights import print_regression, regression
from bench.simulate.risks import BEYOND, PROCESSES, Process, Risks, intervals, power, print_intervals

__all__ = [
    "BEYOND",
    "PROCESSES",
    "Process",
    "Risks",
    "intervals",
    "power",
    "print_intervals",
    "print_regression",
    "regression",
]
