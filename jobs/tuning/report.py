"""The report of a study: one offline HTML file, and each of its pictures as PNG."""

import base64
import io
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from jobs.files import write_atomically
from jobs.results import SelectedModel
from jobs.tuning import pictures
from jobs.tuning.confidence import interval_of_mean
from jobs.tuning.importance import importance, varied
from jobs.tuning.leaderboard import Leaderboard
from jobs.tuning.progress import duration, short
from jobs.tuning.trial import TrialOutcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT_FOLDER = "report"
"""Where the report lies in the folder of its study."""

_TEMPLATE = files(__package__) / "report.html"  # which may lie in an archive


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Its file's name, without the suffix.
        title: What it shows.
        png: The picture.
    """

    name: str
    title: str
    png: bytes

    @property
    def base64(self) -> str:
        """The picture as an HTML file holds it."""
        return base64.b64encode(self.png).decode()


def write_report(board: Leaderboard, folder: Path, selected: SelectedModel | None = None) -> None:
    """Writes `report.html`, which needs nothing else, and `*.png` beside it.

    Args:
        board: The study.
        folder: Where to write; made when missing.
        selected: What the final test gave; None before it.
    """
    import jinja2

    shares = importance(board)
    drawn = draw(board, shares)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        board=board,
        best=board.best(),
        default=board.default(),
        names=varied(board),
        short=short,
        over_seeds=lambda trial: over_seeds(board, trial),
        headline=headline(shares),
        facts=facts(board, selected),
        pictures=drawn,
    )
    write_atomically(folder / "report.html", page)
    for picture in drawn:
        write_atomically(folder / f"{picture.name}.png", picture.png)


def over_seeds(board: Leaderboard, trial: TrialOutcome) -> str:
    """Writes the mean error of a trial over its seeds in percent, with its interval; nothing where it has one seed."""
    accuracies = board.over_seeds(trial)
    if len(accuracies) < 2:
        return ""
    errors = [100 * (1 - accuracy) for accuracy in accuracies]
    low, high = interval_of_mean(errors)
    return f"{mean(errors):.2f} % ({max(0.0, low):.2f} to {high:.2f}, {len(errors)} seeds)"


def headline(shares: dict[str, float]) -> str:
    """Says in one sentence which hyperparameters matter."""
    if not shares:
        return "Too few trials differ to say which hyperparameters matter."
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    said = [f"{name.replace('_', ' ')} ({share:.0%})" for name, share in ranked if share >= 0.05] or [
        f"{ranked[0][0].replace('_', ' ')} ({ranked[0][1]:.0%})"
    ]
    return f"What matters, as its share of the differences between trials: {', '.join(said)}."


def facts(board: Leaderboard, selected: SelectedModel | None) -> list[tuple[str, str]]:
    """Gives the figures at the top of the page: value, and what it is."""
    best, default = board.best(), board.default()
    spent = sum(trial.epochs for trial in board.trials)
    full = len(board.trials) * board.experiment.budget.epochs
    seconds = sum(trial.seconds for trial in board.trials)
    shown = []
    if best and best.validation_accuracy is not None:
        shown.append(
            (f"{100 * (1 - best.validation_accuracy):.2f} %", f"validation error of the best, trial {best.number}")
        )
    if default and default.validation_accuracy is not None:
        shown.append((f"{100 * (1 - default.validation_accuracy):.2f} %", "validation error of the default"))
    if selected:
        shown.append((f"{100 * (1 - selected.winner.accuracy):.2f} %", "test error of the best"))
        if selected.default:
            shown.append((f"{100 * (1 - selected.default.accuracy):.2f} %", "test error of the default"))
    shown.append((f"{len(board.trials)}", "trials"))
    if board.experiment.early_stopping:
        shown.append((f"{spent:g} of {full}", f"epochs trained, {1 - spent / full:.0%} saved by stopping early"))
    else:
        shown.append((f"{spent:g}", "epochs trained"))
    shown.append((duration(seconds), "of training, all executors together"))
    return shown


def draw(board: Leaderboard, shares: dict[str, float]) -> list[Picture]:
    """Draws every picture for which the study has enough trials."""
    drawn: list[tuple[str, str, Figure]] = []
    if any(trial.validation_accuracy is not None for trial in board.trials):
        error = pictures.error_against_learning_rate(board)
        how_far = ", as far as each trial was trained" if board.experiment.early_stopping else ""
        drawn.append(("error_against_learning_rate", f"Error against the learning rate{how_far}", error))
        if shares:
            drawn.append(("importance", "Which hyperparameters matter", pictures.importances(shares)))
        if varied(board):
            together = pictures.parallel_coordinates(board)
            drawn.append(("parallel_coordinates", "All hyperparameters together; dark is good", together))
        drawn.append(("learning_curves", "Learning curves", pictures.learning_curves(board)))
    if board.trials:
        drawn.append(("executors", "What each executor did; the best trial in red", pictures.executors(board)))
    return [Picture(name, title, _png(figure)) for name, title, figure in drawn]


def _png(figure: "Figure") -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
