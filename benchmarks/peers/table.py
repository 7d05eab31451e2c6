"""The tables of the benchmark: each contestant's figures, and Atoll's as a multiple of them."""

from benchmarks.peers.score import Run, common_error, middle, ratio

ATOLL = "atoll"

Row = dict[str, str | float]

HEADINGS = {
    "whole": "Every trial to its end",
    "lent": "Every trial to its end, peers lent Atoll's way of training",
    "stopped": "With early stopping",
}


def rows(runs: dict[str, list[Run]]) -> dict[str, list[Row]]:
    """Makes a row for each contestant of each round; ratios above 1 say that Atoll is ahead."""
    return {kind: stopped_rows(one) if kind == "stopped" else whole_rows(one) for kind, one in runs.items()}


def whole_rows(runs: list[Run]) -> list[Row]:
    """Trials per hour, with the set-up and without."""
    table: list[Row] = []
    for name in _contestants(runs):
        row: Row = {"contestant": name, "runs": sum(run.contestant == name for run in runs)}
        for rate in ("trials_per_hour", "warm_trials_per_hour"):
            row[rate] = round(middle(runs, name, rate))
            row[f"{rate}_ratio"] = round(1 / ratio(runs, name, ATOLL, rate), 2)
        row["best_error_percent"] = round(100 * middle(runs, name, "best"), 2)
        table.append(row)
    return table


def stopped_rows(runs: list[Run]) -> list[Row]:
    """Time to the lowest validation error that all have reached, with the set-up and without, and to the end."""
    target = common_error(runs)
    table: list[Row] = []
    for name in _contestants(runs):
        row: Row = {"contestant": name, "runs": sum(run.contestant == name for run in runs)}
        row["target_percent"] = round(100 * target, 2)
        for measure in ("seconds_to", "warm_seconds_to"):
            row[measure] = round(middle(runs, name, measure, target), 1)
            row[f"{measure}_ratio"] = round(ratio(runs, name, ATOLL, measure, target), 2)
        row["seconds_in_all"] = round(middle(runs, name, "seconds"), 1)
        row["seconds_in_all_ratio"] = round(ratio(runs, name, ATOLL, "seconds"), 2)
        row["epochs"] = round(middle(runs, name, "epochs_trained"))
        row["best_error_percent"] = round(100 * middle(runs, name, "best"), 2)
        table.append(row)
    return table


def _contestants(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.contestant for run in runs))


def print_tables(table: dict[str, list[Row]]) -> None:
    """Prints each table as Markdown."""
    for kind, lines in table.items():
        columns = list(lines[0])
        print(f"\n{HEADINGS[kind]}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
        for line in lines:
            print(f"| {' | '.join(str(line[column]) for column in columns)} |")
