"""spark-submit application: freeze, test and register the best trial of a study."""

import argparse
import sys
from pathlib import Path

# The folder of this script is on the path by default, and its sub-packages would shadow others of the same names.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from jobs import application
from jobs.registry.selection import select
from jobs.results import SelectedModel
from jobs.workspace import Workspace


def main(options: argparse.Namespace) -> SelectedModel:
    """Selects from the study `options.study`."""
    return select(options.study, Workspace.open(options.workspace))


if __name__ == "__main__":
    arguments = application.Arguments(prog="select_model", description=__doc__)
    arguments.add_argument("--study", required=True, metavar="NAME", help="a study that tune_model has finished")
    application.run(main, arguments)
