"""Charts as plain geometry: where each mark, line and bar lies; the template `chart.html` turns them into SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 460.0, 280.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 446.0, 12.0, 232.0
"""The plot's edges; labels lie outside of them."""

COLOURS = 8
"""How many colours the style sheet has: classes `c0` to `c7`."""

_CLOSEST = 30.0
"""Ticks that lie closer together would write over each other."""

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its place, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What it measures, with its unit.
        ticks: Its marks.
        place: Gives the place of a value.
    """

    title: str
    ticks: tuple[Tick, ...]
    place: Callable[[Scalar], float]


@dataclass(frozen=True)
class Mark:
    """A point.

    Attributes:
        x: Across.
        y: Down.
        style: Classes of the style sheet.
        key: What it belongs to: all that carry the same key light up together.
        text: What is said when it is pointed at.
        href: Where it leads; empty where it leads to the row of its key.
    """

    x: float
    y: float
    style: str
    key: str
    text: str
    href: str = ""


@dataclass(frozen=True)
class Line:
    """A line through some points; see `Mark`."""

    points: tuple[tuple[float, float], ...]
    style: str
    key: str
    text: str
    href: str = ""

    @property
    def path(self) -> str:
        """The points as SVG's `polyline` wants them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True)
class Bar:
    """A filled box; see `Mark`."""

    x: float
    y: float
    width: float
    height: float
    style: str
    key: str
    text: str
    href: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: Identifies it on its page.
        title: What it shows.
        x: The axis across.
        y: The axis that goes up.
        lines: Drawn first.
        bars: Drawn next.
        marks: Drawn last.
        legend: Classes and names.
        rules: Whether lines across the plot stand at the ticks of `y`.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    legend: Sequence[tuple[str, str]] = ()
    rules: bool = True
    height: float = field(default=HEIGHT)


def across(title: str, values: Iterable[Scalar], *, logarithmic: bool = False) -> Axis:
    """Makes the axis from left to right that shows all of some values, with a margin."""
    return _axis(title, list(values), LEFT + 12, RIGHT - 12, logarithmic, _CLOSEST)


def upward(title: str, values: Iterable[Scalar], *, logarithmic: bool = False, zero: bool = False) -> Axis:
    """Makes the axis from bottom to top that shows all of some values; `zero` begins it at 0."""
    given = list(values)
    return _axis(title, [0.0, *given] if zero else given, BOTTOM - (0 if zero else 8), TOP + 8, logarithmic, 16.0)


def short(value: Scalar) -> str:
    """Writes a value as briefly as it can be told."""
    if isinstance(value, bool | str):
        return str(value).lower()
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3g}"


def is_named(values: Iterable[Scalar]) -> bool:
    """Whether values are names rather than numbers."""
    return any(isinstance(value, bool | str) for value in values)


def _axis(title: str, values: list[Scalar], start: float, end: float, logarithmic: bool, closest: float) -> Axis:
    if is_named(values):
        return _named(title, values, start, end)
    numbers = [float(value) for value in values if not isinstance(value, str)] or [0.0, 1.0]
    low, high = min(numbers), max(numbers)
    logarithmic = logarithmic and low > 0
    change: Callable[[float], float] = math.log10 if logarithmic else float
    first, last = change(low), change(high)

    def place(value: Scalar) -> float:
        share = 0.5 if last == first else (change(float(value)) - first) / (last - first)
        return start + share * (end - start)

    distinct = sorted(set(numbers))
    steps = distinct if len(distinct) <= 6 else _logarithmic_steps(low, high) if logarithmic else _steps(low, high)
    return Axis(title, _apart([Tick(place(step), short(step)) for step in steps], closest), place)


def _named(title: str, values: list[Scalar], start: float, end: float) -> Axis:
    names = sorted({short(value) for value in values})
    step = (end - start) / max(1, len(names) - 1)
    places = {name: start + number * step for number, name in enumerate(names)}
    if len(names) == 1:
        places[names[0]] = (start + end) / 2
    ticks = [Tick(at, name if len(name) <= 14 else f"{name[:13]}…") for name, at in places.items()]
    return Axis(title, _apart(ticks, 14.0), lambda value: places[short(value)])


def _steps(low: float, high: float) -> list[float]:
    """Gives round numbers between two, about five."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _logarithmic_steps(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        steps = [factor * 10.0**power for power in powers for factor in factors]
        inside = [step for step in steps if low * 0.999 <= step <= high * 1.001]
        if len(inside) >= 3:
            return inside
    return _steps(low, high)


def _apart(ticks: list[Tick], closest: float) -> tuple[Tick, ...]:
    kept: list[Tick] = []
    for tick in ticks:
        if (
            not kept
            or abs(tick.at - kept[-1].at) >= max(closest, 3.5 * (len(tick.text) + len(kept[-1].text)))
            or (closest < _CLOSEST and abs(tick.at - kept[-1].at) >= closest)
        ):
            kept.append(tick)
    return tuple(kept)
