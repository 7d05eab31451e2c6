"""The charts of an image set from day to day: how many images, how certain, which labels, by which model."""

from collections.abc import Callable, Sequence
from datetime import date

from atoll.pages import charts
from atoll.pages.charts import BOTTOM, COLOURS, LEFT, RIGHT, Axis, Bar, Chart, Line, Mark, Tick
from jobs.labelling.trends import DayFigures

_CLOSEST = 42.0
"""Days whose names lie closer together would write over each other."""

Address = Callable[[date], str]
"""Gives the page of a day."""


def images(days: Sequence[DayFigures], address: Address) -> Chart:
    """Draws a bar a day: the labelled images, on top of them those in quarantine.

    Args:
        days: At least one, the oldest first.
        address: Where each bar leads.
    """
    y = charts.upward("images", [day.labelled + day.quarantined for day in days], zero=True)
    x = _days(days)
    width = max(1.5, min(26.0, 0.7 * (RIGHT - LEFT) / len(days)))
    bars = []
    for day in days:
        said = f"{day.day}\n{day.labelled} labelled\n{day.quarantined} in quarantine ({day.quarantine_share:.1%})"
        left, top, above = (
            x.place(str(day.day)) - width / 2,
            y.place(day.labelled),
            y.place(day.labelled + day.quarantined),
        )
        bars.append(Bar(left, top, width, BOTTOM - top, "c0", _key(day), said, address(day.day)))
        if day.quarantined:
            bars.append(Bar(left, above, width, top - above, "c1", _key(day), said, address(day.day)))
    return Chart("images", "Images a day", x, y, bars=bars, legend=[("c0", "labelled"), ("c1", "in quarantine")])


def certainty(days: Sequence[DayFigures], address: Address) -> Chart:
    """Draws the mean score of each day; the colour tells the model, so that a change of it can be seen."""
    scored = [(day, day.mean_score) for day in days if day.mean_score is not None]
    names = sorted({_model(day) for day, _ in scored})
    unit, scale = (" (%)", 100) if all(0 <= score <= 1 for _, score in scored) else ("", 1)
    x, y = _days(days), charts.upward(f"mean score{unit}", [scale * score for _, score in scored])
    marks = [
        Mark(
            x.place(str(day.day)),
            y.place(scale * score),
            f"c{names.index(_model(day)) % COLOURS}",
            _key(day),
            f"{day.day}\nmean score {charts.short(scale * score)}{unit}\n{_model(day)}",
            address(day.day),
        )
        for day, score in scored
    ]
    line = Line(tuple((mark.x, mark.y) for mark in marks), "other", "", "")
    legend = [(f"c{number}", name) for number, name in enumerate(names[:COLOURS])]
    return Chart("certainty", "Mean score", x, y, lines=[line], marks=marks, legend=legend)


def shares(days: Sequence[DayFigures], address: Address) -> Chart:
    """Draws the share of the most frequent labels on each day."""
    totals: dict[str, int] = {}
    for day in days:
        for label, count in day.labels.items():
            totals[label] = totals.get(label, 0) + count
    shown = sorted(totals, key=lambda label: (-totals[label], label))[:COLOURS]
    labelled = [day for day in days if day.labelled]
    x = _days(days)
    share = {(day.day, label): 100 * day.labels.get(label, 0) / day.labelled for day in labelled for label in shown}
    y = charts.upward("share of the labels (%)", list(share.values()), zero=True)
    lines, marks = [], []
    for number, label in enumerate(shown):
        points = tuple((x.place(str(day.day)), y.place(share[day.day, label])) for day in labelled)
        lines.append(Line(points, f"c{number}", f"label-{number}", label))
        marks += [
            Mark(across, down, f"c{number}", f"label-{number}",
                 f"{label}\n{day.day}\n{share[day.day, label]:.1f} % of {day.labelled}", address(day.day))
            for day, (across, down) in zip(labelled, points, strict=True)
        ]  # fmt: skip
    legend = [(f"c{number}", label) for number, label in enumerate(shown)]
    return Chart("shares", "The most frequent labels", x, y, lines=lines, marks=marks, legend=legend)


def _days(days: Sequence[DayFigures]) -> Axis:
    """Makes an axis on which each day of the calendar is as wide as the other, labelled or not."""
    first, last = days[0].day.toordinal(), days[-1].day.toordinal()
    start, end = LEFT + 16, RIGHT - 16

    def place(value: charts.Scalar) -> float:
        if first == last:
            return (start + end) / 2
        return start + (date.fromisoformat(str(value)).toordinal() - first) / (last - first) * (end - start)

    ticks: list[Tick] = []
    for day in days:
        tick = Tick(place(str(day.day)), f"{day.day:%d %b}")
        if not ticks or tick.at - ticks[-1].at >= _CLOSEST:
            ticks.append(tick)
    return Axis("day", tuple(ticks), place)


def _model(day: DayFigures) -> str:
    return ", ".join(f"{one.name} {one.version}" if one.version else one.name for one in day.models) or "no model"


def _key(day: DayFigures) -> str:
    return f"day-{day.day}"
