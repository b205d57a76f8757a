"""Where an instance keeps its state: all under one directory, so that two instances can run side by side."""

import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

MAX_SOCKET_PATH = 100  #: bytes; the kernel's limit for a unix socket is 108 with its final zero, 104 on some systems


def valkey_socket(home: Path) -> Path:
    """The unix socket of the embedded Valkey of `home`: in it, or if that is too long in the system's temp dir.

    The same `home` always gives the same path: the server, the worker and the supervisor each ask for it.
    """
    inside = home / "valkey.sock"
    if len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
        return inside
    return Path(tempfile.gettempdir()) / f"flowverify-{os.getuid()}-{home_digest(home)}" / "valkey.sock"


def home_digest(home: Path) -> str:
    """A short name for `home`, the same in every process."""
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def make_home(home: Path) -> None:
    """Create `home`, readable by its owner only. Raises ImproperlyConfigured if that cannot be done."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"FLOWVERIFY_HOME {home} cannot be created: {error.strerror}") from error


def secret_key(home: Path) -> str:
    """The key in `home`/secret_key; generated the first time, also when several processes start at once."""
    path = home / "secret_key"
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(50))
        key = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be written or read: {error.strerror}") from error
    if len(key) < 32:
        raise ImproperlyConfigured(f"{path} does not hold a key; delete it and a new one is generated")
    return key


def _write_once(path: Path, content: str) -> None:
    """Create `path` whole or not at all; whoever comes second keeps the first one's content."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
