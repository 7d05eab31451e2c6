"""The trigger form of `tune_model`: what one run may change of its experiment file, and how its winner is promoted."""

from airflow.sdk import Param

from atoll.dag_params import AS_IN_THE_FILE, optional_number
from jobs.overrides import LONGEST_MINUTES, MOST_EPOCHS, MOST_SEEDS, MOST_TRIALS, ExperimentOverrides

_SEARCH, _GATE = "Search, where it differs from the experiment file", "Promotion"
_EMPTY = "Empty: as the experiment file says."

OVERRIDES = {
    name.replace("_", "-"): f"{{{{ '' if params.{name} == '{AS_IN_THE_FILE}' else params.{name} }}}}"
    for name in ExperimentOverrides.model_fields
}
"""Arguments of a job from `search_params`; what the form leaves to the file is empty, and so not passed."""


def search_params() -> dict[str, Param]:
    """One field of the form for each field of `ExperimentOverrides`, with the same limits."""
    return {
        "strategy": _choice(
            "Strategy",
            "`grid` tries every combination, `sparse` covers the space evenly, `tpe` proposes each from the scores so far.",
            {"grid": "grid: every combination", "sparse": "sparse: even cover", "tpe": "tpe: adaptive"},
        ),
        "trials": optional_number(
            "integer",
            "Trials",
            f"How many points to try; not for a grid, which has its own number. {_EMPTY}",
            _SEARCH,
            minimum=1,
            maximum=MOST_TRIALS,
        ),
        "epochs": optional_number(
            "integer",
            "Epochs of a complete trial",
            f"Passes over the training images. {_EMPTY}",
            _SEARCH,
            minimum=1,
            maximum=MOST_EPOCHS,
        ),
        "minutes": optional_number(
            "number",
            "Time budget (minutes)",
            f"After which no trial is begun or continued. {_EMPTY}",
            _SEARCH,
            exclusiveMinimum=0,
            maximum=LONGEST_MINUTES,
        ),
        "trial_minutes": optional_number(
            "number",
            "Time of one trial (minutes)",
            f"A trial that takes longer is stopped, and says so in the leaderboard. {_EMPTY}",
            _SEARCH,
            exclusiveMinimum=0,
            maximum=LONGEST_MINUTES,
        ),
        "early_stopping": _choice(
            "Early stopping",
            "Trials pause at rungs, and only the best of them go on.",
            {"on": "on", "off": "off: every trial is trained to its end"},
        ),
        "seed": optional_number(
            "integer",
            "Seed",
            f"Of weights, dropout, order of the images, and of the strategy. {_EMPTY}",
            _SEARCH,
            minimum=0,
            maximum=2**32 - 1,
        ),
        "finalist_seeds": optional_number(
            "integer",
            "Seeds of the finalists",
            "The best trials are trained again until each has so many seeds, and the best mean wins; `1`: the best single "
            f"score wins. {_EMPTY}",
            _SEARCH,
            minimum=1,
            maximum=MOST_SEEDS,
        ),
    }


def gate_params() -> dict[str, Param]:
    """Whether, and by how much, a challenger must be better to become champion."""
    return {
        "promote": Param(
            True,
            type="boolean",
            title="Promote the winner",
            description_md="Off: the gate still tests and says what it would do; the champion stays.",
            section=_GATE,
        ),
        "margin": Param(
            0.0,
            type="number",
            minimum=0,
            maximum=50,
            title="Margin (percentage points)",
            description_md="How much higher the challenger's accuracy on the test images must be, besides being "
            "significantly better.",
            section=_GATE,
        ),
        "significance": Param(
            0.05,
            type="number",
            minimum=0.0001,
            maximum=0.5,
            title="Significance",
            description_md="The p-value of McNemar's paired test must be below it.",
            section=_GATE,
        ),
    }


def _choice(title: str, description: str, shown: dict[str, str]) -> Param:
    values = {AS_IN_THE_FILE: "as the experiment file says"} | shown
    return Param(
        AS_IN_THE_FILE,
        type="string",
        enum=list(values),
        values_display=values,
        title=title,
        description_md=description,
        section=_SEARCH,
    )
