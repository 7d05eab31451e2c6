"""What early stopping would have made of a study that was trained to its end, for several rungs.

    python -m benchmarks.replay STUDY/leaderboard.json ...

A trial gives the same with and without pauses, so its saved learning curve says what every choice of rungs would have seen. The
study's own code decides; executors are played, an epoch takes each of them the same time.
"""

import argparse
import heapq
import itertools
from pathlib import Path

import optuna

from jobs.experiment import EarlyStopping
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.study import Study
from jobs.tuning.trial import TrialOutcome, TrialRun, TrialSpecification


def main() -> None:
    """Prints a line for each choice of rungs: points of validation error lost, and epochs as a share of the whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("leaderboards", type=Path, nargs="+")
    parser.add_argument("--orders", type=int, default=4, help="random orders of the trials")
    options = parser.parse_args()
    boards = [Leaderboard.model_validate_json(path.read_bytes()) for path in options.leaderboards]
    print("first rung, reduction: points lost at share of epochs")
    for first, reduction in ((0.125, 2), (0.25, 2), (0.5, 2), (1, 2), (0.25, 3), (0.5, 3), (1, 3), (0.5, 4), (1, 4)):
        stopping = EarlyStopping(first_rung=first, reduction=reduction)
        runs = [replay(board, stopping, seed) for board in boards for seed in range(options.orders)]
        print(f"{first}, {reduction}: " + "  ".join(f"{lost:.2f} at {share:.3f}" for lost, share in runs))
        lost, shares = zip(*runs, strict=True)
        near = sum(one < 0.05 for one in lost)
        print(f"  mean {sum(lost) / len(runs):.3f} at {sum(shares) / len(runs):.3f}; {near} of {len(runs)} within 0.05")


def replay(board: Leaderboard, stopping: EarlyStopping, seed: int, executors: int = 2) -> tuple[float, float]:
    """Runs a study on saved curves; gives the points of validation error lost, and the share of the epochs."""
    asked = board.experiment.model_copy(update={"early_stopping": stopping, "seed": seed})
    curves = {trial.hyperparameters: trial.curve for trial in board.trials}
    study = Study(optuna.storages.InMemoryStorage(), "replay", asked, board.dataset_fingerprint)
    now, running = 0.0, list[tuple[float, int, TrialSpecification]]()
    ticket = itertools.count()
    while True:
        while len(running) < executors and (trial := study.next_trial()):
            heapq.heappush(running, (now + trial.until - trial.done, next(ticket), trial))
        if not running:
            break
        now, _, trial = heapq.heappop(running)
        curve = [score for score in curves[trial.hyperparameters] if trial.done < score.epoch <= trial.until]
        epochs = trial.until - trial.done
        run = TrialRun(executor="played", process=0, started_at=0, finished_at=epochs, epochs=epochs)
        study.report(
            TrialOutcome(
                number=trial.number,
                hyperparameters=trial.hyperparameters,
                state="complete" if trial.until == asked.budget.epochs else "paused",
                validation_accuracy=curve[-1].validation_accuracy,
                curve=curve,
                runs=[run],
            )
        )
    found = max(trial.validation_accuracy or 0 for trial in study.outcomes())
    best = max(trial.validation_accuracy or 0 for trial in board.trials)
    epochs = [sum(trial.epochs for trial in trials) for trials in (study.outcomes(), board.trials)]
    return 100 * (best - found), epochs[0] / epochs[1]


if __name__ == "__main__":
    main()
