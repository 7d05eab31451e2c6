"""hyperopt's SparkTrials. It has no early stopping inside a trial, so its objective uses Keras's.

Its dispatcher looks for work once a second; a queue of trials keeps that wait as short as it can be.
"""

from functools import partial
from typing import Any

import hyperopt
from hyperopt.base import miscs_update_idxs_vals

from benchmarks.peers.spark_session import open_session
from benchmarks.peers.trials import asked, train


def listed(ids: list[int], domain: Any, trials: Any, seed: int) -> Any:
    """Proposes trial 0, 1, 2 and so on: hyperopt has no grid."""
    documents = []
    for number in ids:
        misc = {"tid": number, "cmd": domain.cmd, "workdir": domain.workdir}
        miscs_update_idxs_vals([misc], {"trial": [number]}, {"trial": [number]})
        documents += trials.new_trial_docs([number], [None], [domain.new_result()], [misc])
    return documents


def main() -> None:
    """Runs all trials."""
    work = asked()
    session = open_session(work)
    hyperopt.fmin(
        partial(train, work, cores=1),
        hyperopt.hp.choice("trial", list(range(len(work.points)))),
        algo=listed,
        max_evals=len(work.points),
        max_queue_len=4,
        trials=hyperopt.SparkTrials(parallelism=2, spark_session=session),
        show_progressbar=False,
    )
    session.stop()


if __name__ == "__main__":
    main()
