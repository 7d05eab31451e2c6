"""spark-submit application: prepare the data set of an experiment."""

import argparse
import sys
from pathlib import Path

# The folder of this script is on the path by default, and its sub-packages would shadow others of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from jobs import application
from jobs.datasets.prepare import prepare
from jobs.experiment import load_experiment
from jobs.overrides import ExperimentOverrides
from jobs.results import PreparedDataset
from jobs.workspace import Workspace


def main(options: argparse.Namespace) -> PreparedDataset:
    """Prepares the data set of `options.experiment`; overrides that tuning would refuse are refused here, before any work."""
    experiment = ExperimentOverrides.from_options(options).apply(load_experiment(options.experiment))
    return prepare(experiment, Workspace.open(options.workspace))


if __name__ == "__main__":
    arguments = application.Arguments(prog="prepare_dataset", description=__doc__)
    arguments.add_argument("--experiment", type=Path, required=True, metavar="FILE", help="the experiment file")
    ExperimentOverrides.declare(arguments)
    application.run(main, arguments)
