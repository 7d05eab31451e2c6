"""Passwords and keys of the stack: made once, kept in one file that only its owner can read."""

import base64
import os
import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


def _hex() -> str:
    return secrets.token_hex(32)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


class Secrets(BaseModel):
    """What must stay the same between two starts, so that sessions, encrypted connections and databases stay readable."""

    model_config = ConfigDict(frozen=True)

    admin_password: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    postgres_password: str = Field(default_factory=_hex)
    fernet_key: str = Field(default_factory=_fernet_key)
    jwt_secret: str = Field(default_factory=_hex)
    api_secret_key: str = Field(default_factory=_hex)


def load_secrets(folder: Path) -> Secrets:
    """Reads `secrets.json` of `folder`; makes it where there is none."""
    path = folder / "secrets.json"
    if not path.exists():
        write_private(path, Secrets().model_dump_json(indent=2) + "\n")
    return Secrets.model_validate_json(path.read_text())


def write_private(path: Path, content: str) -> None:
    """Writes a file that at no moment anyone but its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
