"""A study saved with Optuna: which trials there are, how far each has come, what is to be done next."""

import random
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.errors import InvalidStudyError
from jobs.experiment import Experiment
from jobs.models.hyperparameters import Hyperparameters
from jobs.tuning.sampling import propose, sparse_points
from jobs.tuning.storage import optuna_distributions
from jobs.tuning.successive_halving import Standing, leader, promotable, rungs
from jobs.tuning.trial import TrialOutcome, TrialSpecification

if TYPE_CHECKING:
    import optuna

_EXPERIMENT, _DATASET = "atoll.experiment", "atoll.dataset"
_HYPERPARAMETERS = "atoll.hyperparameters"
_OUTCOME, _REPEAT = "atoll.outcome.", "atoll.repeat."
"""Outcomes are attributes of the study, not of Optuna's trials, which cannot be changed once they have ended."""

_FIXED = ("name", "dataset", "model", "default", "seed")
"""Fields of the experiment in which a study cannot change; it may go on with another search, strategy or budget."""

_SAME_FAILURES = 3
"""So many trials that fail for one reason, and none that does not, end the study."""

_PROPOSALS = 50
"""Proposals in a row that are already known before a search space counts as exhausted."""

_SEEDS_APART = 100_003
"""Between the seeds of two proposals for one trial: more than there can be trials, so that no two proposals share a seed."""


class Study:
    """Every trial of a study, and the choice of what to run next.

    All that it knows is in Optuna's storage, so a driver that takes it up again goes on where the last one stopped and
    decides as if nothing had happened: trials that ended are not repeated, paused ones go on from their checkpoints, those
    that were running do again what they were doing. It may be taken up with more trials, more epochs or another search space.
    """

    def __init__(
        self,
        storage: "optuna.storages.BaseStorage",
        name: str,
        experiment: Experiment,
        dataset_fingerprint: str,
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[Hyperparameters], float] = lambda _: 0.0,
    ) -> None:
        """Creates the study, or takes it up again.

        Args:
            storage: As `study_storage` gives it.
            name: Name of the study.
            experiment: What to search, and how much.
            dataset_fingerprint: The data set of all its trials.
            clock: Gives the time in seconds; replaced in tests.
            cost: How long a trial takes compared with others; where all are to be trained to their end, the longest begin
                first, so that none is left over when the others have ended.

        Raises:
            InvalidStudyError: A study of this name exists for another model or data set.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        self._experiment = experiment
        self._clock, self._began, self._cost = clock, clock(), cost
        self._claim(name, dataset_fingerprint)
        self._points: dict[int, Hyperparameters] = {}
        self._outcomes: dict[int, TrialOutcome] = {}
        self._repeats: dict[tuple[int, int], TrialOutcome] = {}
        self._running: set[int] = set()
        self._interrupted: deque[int] = deque()
        self._open: dict[int, optuna.Trial] = {}
        self._load()
        planned = self._plan()
        begun = set(self._points.values())
        self._planned = deque(point for point in planned if point not in begun)
        self.size = len(begun | set(planned)) if experiment.strategy != "tpe" else experiment.budget.trials or 0

    @property
    def rungs(self) -> tuple[float, ...]:
        """Epochs at which trials pause, and the last, at which they are complete."""
        stopping, epochs = self._experiment.early_stopping, self._experiment.budget.epochs
        return rungs(stopping.first_rung, epochs, stopping.reduction) if stopping else (float(epochs),)

    def outcomes(self) -> list[TrialOutcome]:
        """Gives what has become of each trial that has ended or paused, by number."""
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    def outcome(self, number: int, repeat: int = 0) -> TrialOutcome:
        """Gives what has become of one trial, or of a repeat."""
        return self._repeats[number, repeat] if repeat else self._outcomes[number]

    def repeats(self) -> list[TrialOutcome]:
        """Gives what has become of the repeats with other seeds, by trial and seed."""
        return [self._repeats[key] for key in sorted(self._repeats)]

    def running(self) -> bool:
        """Whether a trial of the study, which is no repeat, is on an executor."""
        return bool(self._running)

    def best(self, trials: int) -> list[TrialOutcome]:
        """Gives the best complete trials."""
        complete = [one for one in self.outcomes() if self._complete(one)]
        return sorted(complete, key=lambda one: -(one.validation_accuracy or 0.0))[:trials]

    def repeat(self, number: int, repeat: int) -> TrialSpecification | None:
        """Gives what is left to do of a repeat, or None when it has ended."""
        known = self._repeats.get((number, repeat))
        if known and (known.state == "failed" or self._complete(known)):
            return None
        return self._specification(number, known, repeat)

    def unfinished(self) -> bool:
        """Whether there is anything left to run; nothing is begun by asking."""
        if self.over() is not None:
            return False
        more = bool(self._interrupted or self._planned)
        if self._experiment.strategy == "tpe":
            more = more or len(self._points) < self.size
        return more or self._promote() is not None or self._finish() is not None

    def expected_epochs(self) -> float:
        """Estimates the epochs of the whole study, those that are done already among them."""
        stopping, trials, spent, below = self._experiment.early_stopping, self.size, 0.0, 0.0
        for rung in self.rungs:
            spent += trials * (rung - below)
            below = rung
            trials = max(1, trials // (stopping.reduction if stopping else 1))
        return spent

    def next_trial(self) -> TrialSpecification | None:
        """Gives what a free executor is to do now, or None when there is nothing to begin."""
        if self.over() is not None:
            return None
        if self._interrupted:
            return self._run(self._interrupted.popleft())
        choices = [self._promote, self._begin, self._finish]
        if self._planned and self._experiment.budget.minutes is None:
            # Their number is known and time is not short: with all of them at the first rung, the right ones are promoted.
            choices = [self._begin, self._promote, self._finish]
        number = next((number for choose in choices if (number := choose()) is not None), None)
        return None if number is None else self._run(number)

    def report(self, outcome: TrialOutcome) -> None:
        """Saves what became of a trial."""
        if outcome.repeat:
            key = outcome.number, outcome.repeat
            self._repeats[key] = outcome.after(self._repeats.get(key))
            self._study.set_user_attr(f"{_REPEAT}{key[0]:06}.{key[1]:03}", self._repeats[key].model_dump_json())
            return
        self._running.discard(outcome.number)
        known = outcome.after(self._outcomes.get(outcome.number))
        self._outcomes[outcome.number] = known
        self._study.set_user_attr(f"{_OUTCOME}{outcome.number:06}", known.model_dump_json())
        self._close(known)

    def over(self) -> str | None:
        """Says why nothing more is begun although there would be something, or None."""
        budget, ended = self._experiment.budget, self._outcomes.values()
        if budget.minutes is not None and self._clock() - self._began > budget.minutes * 60:
            return f"the budget of {budget.minutes:g} min is spent"
        best = max((one.validation_accuracy or 0.0 for one in ended), default=0.0)
        if budget.target is not None and best >= budget.target:
            return f"the target of {budget.target:.2%} is reached"
        reasons = {one.reason for one in ended}
        if len(ended) >= _SAME_FAILURES and len(reasons) == 1 and None not in reasons:
            return f"all of the first {len(ended)} trials failed for the same reason"
        return None

    def _promote(self) -> int | None:
        """Chooses a paused trial that may go on."""
        stopping = self._experiment.early_stopping
        if stopping is None:  # what an earlier, smaller budget has paused
            return next((one.number for one in self._standings() if one.free), None)
        chosen = promotable(self._standings(), stopping.reduction)
        return chosen.number if chosen else None

    def _begin(self) -> int | None:
        """Adds a new trial, or gives None when the space or the budget is used up."""
        point = self._planned.popleft() if self._planned else self._propose()
        if point is None:
            return None
        distributions = optuna_distributions(self._experiment, point)
        values = {name: getattr(point, name) for name in distributions}
        self._study.enqueue_trial(values, user_attrs={_HYPERPARAMETERS: point.model_dump_json()})
        trial = self._study.ask(distributions)
        self._points[trial.number] = point
        self._open[trial.number] = trial
        return trial.number

    def _propose(self) -> Hyperparameters | None:
        budget, search = self._experiment.budget, self._experiment.search
        if self._experiment.strategy != "tpe" or len(self._points) >= (budget.trials or 0):
            return None
        running = [self._points[number] for number in self._running]
        known = set(self._points.values())
        for attempt in range(_PROPOSALS):
            seed = (self._experiment.seed + len(known) + attempt * _SEEDS_APART) % 2**32
            point = propose(search, self._experiment.default, self.outcomes(), running, seed)
            if point not in known:
                return point
        return None

    def _finish(self) -> int | None:
        """Chooses what is worth finishing when nothing else is to be done: the default, and a winner or as many finalists."""
        paused = [one for one in self._standings() if one.free]
        default = self._experiment.default
        for standing in paused:
            if self._points[standing.number] == default:  # the winner will be compared with it
                return standing.number
        complete = [one for one in self._outcomes.values() if one.hyperparameters != default and self._complete(one)]
        wanted = self._experiment.finalists.trials if self._experiment.finalists else 1
        if len(complete) + len(self._running) >= wanted:
            return None
        chosen = leader(paused)
        return chosen.number if chosen else None

    def _run(self, number: int) -> TrialSpecification:
        self._running.add(number)
        return self._specification(number, self._outcomes.get(number))

    def _specification(self, number: int, known: TrialOutcome | None, repeat: int = 0) -> TrialSpecification:
        done = known.epochs if known else 0.0
        until = next(rung for rung in self.rungs if rung > done)
        return TrialSpecification(number, self._points[number], done, until, known.seconds if known else 0.0, repeat)

    def _standings(self) -> list[Standing]:
        standings = []
        for number in self._points:
            known = self._outcomes.get(number)
            scores = tuple(known.accuracy_at(rung) for rung in self.rungs if rung <= known.epochs) if known else ()
            failed = known is not None and known.state == "failed"
            free = known is not None and not (failed or self._complete(known) or number in self._running)
            standings.append(Standing(number, (*scores, float("-inf")) if failed else scores, free))
        return standings

    def _complete(self, outcome: TrialOutcome) -> bool:
        return outcome.epochs >= self._experiment.budget.epochs

    def _close(self, outcome: TrialOutcome) -> None:
        """Tells Optuna of a trial that has ended, for whoever opens the study there."""
        import optuna

        if outcome.state == "paused" or outcome.number not in self._open:
            return
        trial = self._open.pop(outcome.number)
        if outcome.state == "complete":
            for score in outcome.curve:
                if score.epoch.is_integer():
                    trial.report(score.validation_accuracy, int(score.epoch))
            self._study.tell(trial, outcome.validation_accuracy)
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)

    def _claim(self, name: str, dataset_fingerprint: str) -> None:
        saved = self._study.user_attrs
        if saved.get(_DATASET, dataset_fingerprint) != dataset_fingerprint:
            raise InvalidStudyError(
                f"study {name}: was begun with data set {saved[_DATASET]}; accepted: that one, or a new name"
            )
        if _EXPERIMENT in saved:
            before = Experiment.model_validate_json(saved[_EXPERIMENT])
            for field in _FIXED:
                if getattr(before, field) != getattr(self._experiment, field):
                    raise InvalidStudyError(
                        f"study {name}: was begun with {field} {getattr(before, field)}; accepted: the same, or a new name"
                    )
            if before.budget.epochs != self._experiment.budget.epochs and before.schedules_the_learning_rate():
                raise InvalidStudyError(
                    f"study {name}: was begun with budget.epochs {before.budget.epochs}, over which its learning rates fall; "
                    "accepted: the same, or a new name"
                )
        self._study.set_user_attr(_DATASET, dataset_fingerprint)
        self._study.set_user_attr(_EXPERIMENT, self._experiment.model_dump_json())

    def _load(self) -> None:
        """Reads every trial that was begun; those whose driver died before they ended or paused are to run again."""
        import optuna

        while self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,)):
            self._study.ask()  # queued by a driver that died before it could begin the trial
        attributes = self._study.user_attrs
        saved = {int(key.removeprefix(_OUTCOME)): text for key, text in attributes.items() if key.startswith(_OUTCOME)}
        for key, text in attributes.items():
            if key.startswith(_REPEAT):
                repeat = TrialOutcome.model_validate_json(text)
                self._repeats[repeat.number, repeat.repeat] = repeat
        for trial in self._study.get_trials(deepcopy=False):
            self._points[trial.number] = Hyperparameters.model_validate_json(trial.user_attrs[_HYPERPARAMETERS])
            if not trial.state.is_finished():
                self._open[trial.number] = optuna.Trial(self._study, trial._trial_id)
            if trial.number in saved:
                outcome = TrialOutcome.model_validate_json(saved[trial.number])
                self._outcomes[trial.number] = outcome
                self._close(outcome)
            else:
                self._interrupted.append(trial.number)

    def _plan(self) -> list[Hyperparameters]:
        experiment = self._experiment
        first = experiment.first_points()
        match experiment.strategy:
            case "grid":
                _, *points = experiment.search.grid(experiment.default)
                if experiment.early_stopping:  # in their own order the later ones may all be better
                    random.Random(experiment.seed).shuffle(points)  # noqa: S311  # no secret
            case "sparse":
                trials = experiment.budget.trials or 1
                points = [*first, *sparse_points(experiment.search, experiment.default, trials, experiment.seed)]
                points = list(dict.fromkeys(points))[:trials]
            case "tpe":
                points = first[: experiment.budget.trials]
        others = [point for point in points if point not in first]
        if not experiment.early_stopping:
            others.sort(key=self._cost, reverse=True)
        return [*first, *others]
