"""Builder.io's targeting: which entry is for which visitor.

Source: Builder.io, "Custom targeting attributes" and the operators in @builder.io/sdk's `BuilderContent`
type (`query: [{property, operator, value}]`).
"""

from __future__ import annotations

from typing import Any


def fits(rules: list[dict[str, Any]], attributes: dict[str, Any]) -> bool:
    """Return whether an entry with these targeting rules is for a visitor with these attributes.

    Every rule must hold. An entry without rules is for everybody; one with rules is for nobody who does not
    say the attribute, except by the negative operators.
    """
    return all(_holds(rule, attributes.get(str(rule.get("property")))) for rule in rules)


def _holds(rule: dict[str, Any], actual: Any) -> bool:
    operator = str(rule.get("operator", "is"))
    wanted = rule.get("value")
    choices = wanted if isinstance(wanted, list) else [wanted]
    values = actual if isinstance(actual, list) else [actual]
    if operator in ("isNot", "doesNotContain"):
        positive = {"isNot": "is", "doesNotContain": "contains"}[operator]
        return not any(_compare(positive, value, choice) for value in values for choice in choices)
    return any(_compare(operator, value, choice) for value in values for choice in choices)


def _compare(operator: str, actual: Any, wanted: Any) -> bool:
    if operator == "is":
        return bool(actual == wanted)
    if isinstance(actual, str) and isinstance(wanted, str):
        if operator == "contains":
            return wanted in actual
        if operator == "startsWith":
            return actual.startswith(wanted)
        if operator == "endsWith":
            return actual.endswith(wanted)
    if isinstance(actual, int | float) and isinstance(wanted, int | float):
        return {
            "greaterThan": actual > wanted,
            "greaterThanOrEqualTo": actual >= wanted,
            "lessThan": actual < wanted,
            "lessThanOrEqualTo": actual <= wanted,
        }.get(operator, False)
    return False
