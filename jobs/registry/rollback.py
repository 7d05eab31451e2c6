"""Rollback: a person makes another version champion, and says why."""

import logging

from jobs.errors import InvalidArgumentError
from jobs.registry.champions import set_champion
from jobs.registry.versions import find_champion, find_version
from jobs.results import RolledBack
from jobs.workspace import Workspace

log = logging.getLogger("atoll")


def rollback(model_name: str, version: int, workspace: Workspace, who: str, why: str) -> RolledBack:
    """Makes a version champion without a test, and records who asked for it and why; may be repeated.

    Args:
        model_name: Name of the model.
        version: Any registered version of it, as a rule one that was champion before.
        workspace: Where the registry lies when it has no server.
        who: The person that asks for it.
        why: The reason, in a line; it stands in the model's history.

    Raises:
        InvalidArgumentError: Nobody asks, or no reason is given.
        ModelNotFoundError: There is no such model or version.
    """
    for name, text in (("who", who), ("why", why)):
        if not text.strip():
            raise InvalidArgumentError(f"{name}: {text!r}; accepted: a few words, which stand in the model's history")
    chosen = find_version(model_name, version, workspace)
    reigning = find_champion(model_name, workspace)
    changed = set_champion(chosen, workspace, who.strip(), " ".join(why.split()))
    was = f"version {reigning.version}" if reigning else "none"
    if changed:
        log.info("%s: version %d is champion, before it %s; %s: %s", model_name, version, was, who, why)
    else:
        log.info("%s: version %d is champion already; nothing has changed", model_name, version)
    return RolledBack(
        model_name=model_name,
        champion_version=version,
        previous_version=reigning.version if reigning else None,
        changed=changed,
        who=who.strip(),
        why=" ".join(why.split()),
    )
