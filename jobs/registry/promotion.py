"""Promotion: what the gate has decided becomes true."""

import logging

from jobs.errors import InvalidStudyError
from jobs.registry.champions import set_champion
from jobs.registry.versions import find_champion, find_version
from jobs.results import GateDecision, Promotion
from jobs.workspace import Workspace

log = logging.getLogger("atoll")


def promote(decision: GateDecision, workspace: Workspace, who: str, *, switched_on: bool = True) -> Promotion:
    """Makes a challenger that has passed the gate the champion; may be repeated.

    Args:
        decision: Of the gate, about today's champion.
        workspace: Where the registry lies when it has no server.
        who: The DAG run that asks for it, for the model's history.
        switched_on: Whether a challenger that has passed takes over at all.

    Raises:
        ModelNotFoundError: There is no such model or version.
        InvalidStudyError: The champion changed after the gate decided.
    """
    name, version = decision.model_name, decision.challenger_version
    challenger = find_version(name, version, workspace)
    reigning = find_champion(name, workspace)
    now = reigning.version if reigning else None
    promoted, reason = decision.passed, decision.reason
    if promoted and not switched_on:
        promoted, reason = False, f"promotion is switched off for this run; the gate would let it through: {reason}"
    if promoted:
        if now not in (decision.champion_version, version):
            raise InvalidStudyError(
                f"model {name}: the champion is now {f'version {now}' if now else 'none'}, the gate compared with "
                f"{f'version {decision.champion_version}' if decision.champion_version else 'none'}; run the gate again"
            )
        set_champion(challenger, workspace, who, reason)
    log.info("%s version %d %s: %s", name, version, "is champion" if promoted else "stays challenger", reason)
    return Promotion(
        model_name=name,
        challenger_version=version,
        champion_version=version if promoted else now,
        previous_version=decision.champion_version,
        promoted=promoted,
        p_value=decision.p_value,
        reason=reason,
    )
