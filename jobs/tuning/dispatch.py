"""Dispatch of trials onto executors: a trial is a Spark task, one at a time per executor, and no executor waits."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from jobs.executor_watch import POLL, ExecutorWatch
from jobs.models.training import Samples
from jobs.spark import ExecutorLayout, executor_name, use_gpus
from jobs.tuning.strategy import Strategy
from jobs.tuning.trial import ModelDescription, TrialOutcome, TrialRun, TrialSpecification, run_trial

if TYPE_CHECKING:
    from pyspark import Broadcast, SparkContext

_MOST_THREADS = 4096  # one waiting thread per trial in flight; more executors than this wait for their turn

TrialRunner = Callable[[TrialSpecification], TrialOutcome]


def dispatch(
    strategy: Strategy, runner: TrialRunner, slots: Callable[[], int], on_dispatch: Callable[[int], None] | None = None
) -> Iterator[TrialOutcome]:
    """Keeps every slot busy with the trials that a strategy chooses, until it has none and all have ended.

    Args:
        strategy: Chooses trials and learns of their outcomes; called from the caller's thread only.
        runner: Runs one trial and gives its outcome; called from one thread per trial.
        slots: Gives the number of trials that can run at once now; asked again and again.
        on_dispatch: Called with the number of running trials, each time trials have been started.

    Yields:
        The outcomes, in the order in which the trials end.
    """
    running: dict[Future[TrialOutcome], TrialSpecification] = {}
    outcomes: list[TrialOutcome] = []
    with ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="trial") as threads:
        while True:
            while len(running) < slots() and (trial := strategy.next_trial()) is not None:
                running[threads.submit(runner, trial)] = trial
            if on_dispatch:
                on_dispatch(len(running))
            yield from outcomes  # only now that the freed slots are busy again: the caller may take its time
            if not running:
                return
            ended, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            outcomes = [future.result() for future in ended]
            for future in ended:
                del running[future]
            for outcome in outcomes:
                strategy.report(outcome)


class SparkTrials:
    """Runs trials as Spark tasks; what they share, the model description and the two splits, is broadcast once.

    Use it as a context manager: the broadcast is freed at its end.
    """

    def __init__(
        self,
        context: "SparkContext",
        layout: ExecutorLayout,
        description: ModelDescription,
        train: Samples,
        validation: Samples,
    ) -> None:
        self._context = context
        self._layout = layout
        self._shared: Broadcast[tuple[ModelDescription, Samples, Samples]] = context.broadcast(
            (description, train, validation)
        )
        self._watch = ExecutorWatch(context, layout)

    def __enter__(self) -> "SparkTrials":
        return self

    def __exit__(self, *error: object) -> None:
        self._shared.destroy()

    def slots(self) -> int:
        """Gives the number of executors; at least one, since a lost executor is replaced while its trial waits.

        Raises:
            SparkUnavailableError: There has been none for too long.
        """
        return max(1, self._watch.count())

    def __call__(self, trial: TrialSpecification) -> TrialOutcome:
        """Runs one trial on whichever executor is free, and waits for it."""
        from py4j.protocol import Py4JJavaError

        shared, cores = self._shared, self._layout.cores
        started_at, began = time.time(), time.monotonic()

        def task(specification: TrialSpecification) -> TrialOutcome:
            use_gpus()
            description, train, validation = shared.value
            return run_trial(specification, description, train, validation, cores, executor_name())

        try:
            outcome: TrialOutcome = self._context.parallelize([trial], 1).map(task).collect()[0]
            return outcome
        except Py4JJavaError as error:
            finished_at = started_at + time.monotonic() - began
            return TrialOutcome(
                number=trial.number,
                hyperparameters=trial.hyperparameters,
                state="failed",
                runs=[TrialRun(executor="lost", process=0, started_at=started_at, finished_at=finished_at, epochs=0)],
                repeat=trial.repeat,
                reason=f"executor lost: {_cause(str(error.java_exception.getMessage()))}",
            )


def _cause(message: str) -> str:
    """Picks from Spark's message the line that says why the task's last attempt failed."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0] if lines else "Spark gave no reason"
