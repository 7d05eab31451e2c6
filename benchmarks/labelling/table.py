"""The table of the benchmark: each contestant's figures, and Atoll's as a multiple of them."""

from collections.abc import Sequence
from statistics import median

from benchmarks.labelling.contest import ATOLL, READY, Run

Row = dict[str, str | float]


def rows(runs: Sequence[Run]) -> list[Row]:
    """Makes a row for each contestant, of the medians of its runs; ratios above 1 say that Atoll is ahead.

    Args:
        runs: In the order in which they were made.
    """
    table: list[Row] = []
    for name in dict.fromkeys(run.contestant for run in runs):
        places = [place for place, run in enumerate(runs) if run.contestant == name]
        row: Row = {"contestant": name, "images": runs[places[0]].images}
        row["whole images/s"] = round(median(runs[place].whole for place in places), 1)
        row["warm images/s"] = round(median(runs[place].warm for place in places), 1)
        if name != ATOLL:
            pairs = [(runs[_neighbour(runs, place)], runs[place]) for place in places]
            # A few images say nothing of a start that many would share, and ready tensors have none worth comparing.
            fair = name not in READY and runs[places[0]].images == pairs[0][0].images
            row["whole ratio"] = round(median(ours.whole / theirs.whole for ours, theirs in pairs), 2) if fair else ""
            row["warm ratio"] = round(median(ours.warm / theirs.warm for ours, theirs in pairs), 2)
            row["same label"] = _agreement(pairs) if runs[places[0]].labels else ""
        table.append(row)
    return table


def print_table(table: Sequence[Row]) -> None:
    """Prints it as Markdown."""
    columns = list(dict.fromkeys(column for row in table for column in row))
    print(f"\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in table:
        print(f"| {' | '.join(str(row.get(column, '')) for column in columns)} |")


def _neighbour(runs: Sequence[Run], place: int) -> int:
    """Finds the run of Atoll that is next to a run."""
    return min(
        (other for other, run in enumerate(runs) if run.contestant == ATOLL), key=lambda other: abs(other - place)
    )


def _agreement(pairs: Sequence[tuple[Run, Run]]) -> str:
    ours, theirs = pairs[0]
    same = sum(theirs.labels[image] == ours.labels.get(image) for image in theirs.labels)
    return f"{same} of {len(theirs.labels)}"
