"""How the report writes numbers: a dash where there is none, a true minus, thin spaces in counts."""

from __future__ import annotations

import math

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "—"
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")
    places = max(0, digits - 1 - (math.floor(math.log10(abs(value))) if value else 0))
    return f"{value:.{places}f}".replace("-", "−")


def plus_minus(value: float | None, error: float | None) -> str:
    """Write a number with its standard error, as many decimals as the error's second digit needs.

    Example:
        >>> plus_minus(1.10432, 0.0123)
        '1.104 ± 0.012'
    """
    if value is None or error is None or not (math.isfinite(value) and error > 0):
        return number(value)
    if not 1e-3 <= abs(value) < 1e5:
        return f"{number(value)} ± {number(error, 2)}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "−")


def probability(name: str, value: float | None) -> str:
    """Write 'p = 0.012'; a value too small for a double is bounded, never called zero."""
    if value is None:
        return f"{name} —"
    return f"{name} < 10⁻³⁰⁰" if value < 1e-300 else f"{name} = {number(value, 2)}"


def percent(value: float | None) -> str:
    """Write a share in per cent."""
    return "—" if value is None else f"{100 * value:.1f} %"


def cosine(value: float | None) -> str:
    """Write a mean cosine or a correlation with two decimals."""
    return "—" if value is None else f"{value:.2f}".replace("-", "−")


def degrees(value_rad: float | None) -> str:
    """Write an angle given in radians in degrees, with a decimal below ten."""
    if value_rad is None:
        return "—"
    value = math.degrees(value_rad)
    value = round(value, 1 if abs(value) < 10 else 0) + 0.0  # no negative zero
    return f"{value:.{1 if abs(value) < 10 else 0}f}°".replace("-", "−")


def count(value: int | None) -> str:
    """Write a count with thin spaces between thousands."""
    return "—" if value is None else f"{value:,}".replace(",", "\u202f")


def plural(n: int, noun: str, ending: str = "s") -> str:
    """Write '1 class' or '2 classes'."""
    return f"{n} {noun}{ending if n != 1 else ''}"
