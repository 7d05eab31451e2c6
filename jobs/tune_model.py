"""spark-submit application: fan the trials of an experiment across the executors."""

import argparse
import sys
from pathlib import Path

# The folder of this script is on the path by default, and its sub-packages would shadow others of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from jobs import application
from jobs.experiment import load_experiment
from jobs.overrides import ExperimentOverrides
from jobs.results import TunedStudy
from jobs.tuning.tune import tune
from jobs.workspace import Workspace


def main(options: argparse.Namespace) -> TunedStudy:
    """Runs the study `options.study`, or goes on with it."""
    experiment = ExperimentOverrides.from_options(options).apply(load_experiment(options.experiment))
    return tune(experiment, options.dataset, options.study, Workspace.open(options.workspace))


if __name__ == "__main__":
    arguments = application.Arguments(prog="tune_model", description=__doc__)
    arguments.add_argument("--experiment", type=Path, required=True, metavar="FILE", help="the experiment file")
    arguments.add_argument(
        "--dataset", type=Path, required=True, metavar="FOLDER", help="a data set of prepare_dataset"
    )
    arguments.add_argument("--study", required=True, metavar="NAME", help="the same name goes on with the same study")
    ExperimentOverrides.declare(arguments)
    application.run(main, arguments)
