"""Rules for usernames, passwords and vault names."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import VaultRole

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
LONGEST_NAME = 64
DEFAULT_OWNER = "owner"
DEFAULT_VAULT = "default"

_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,63}")
# Names that would look like the hub itself. The owner may still be called admin or root.
_RESERVED = frozenset({"system", "setup", "parachute", "hub", "operator", "nobody", "everyone"})
_OWNERS_ONLY = frozenset({"admin", "root", "owner"})
# Valid in every vault release, and in the URLs, scopes and folders that contain the name.
_VAULT = re.compile(r"[a-z0-9][a-z0-9_-]{1,31}")
_ANY_VAULT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REVERSING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_RESERVED_VAULTS = frozenset({"list", "new", "assets", "admin"})
_COMMON = (
    *("password", "passwort", "letmein", "iloveyou", "parachute", "welcome", "changeme", "administrator"),
    *("1234567890", "0987654321", "qwertyuiop", "asdfghjkl", "abcdefghijklm"),
)


def username_problem(username: str, *, owner: bool = False) -> str | None:
    """What is wrong with a name, as a sentence; None if it is valid.

    >>> username_problem("ada"), username_problem("admin", owner=True)
    (None, None)
    """
    if not _USERNAME.fullmatch(username):
        return (
            "A username has 2 to 64 letters from a to z, digits, dots, dashes or underscores, and begins with a letter "
            "or digit."
        )
    lowered = username.lower()
    if lowered in _RESERVED or (lowered in _OWNERS_ONLY and not owner):
        return f"The name {username} is reserved for the hub. Choose another."
    return None


def password_problem(password: str, *, username: str = "") -> str | None:
    """What is wrong with a new password, as a sentence; None if it is valid.

    >>> password_problem("short")
    'Use at least 12 characters. Three or four words you can remember work well.'
    """
    if len(password) < SHORTEST_PASSWORD:
        return f"Use at least {SHORTEST_PASSWORD} characters. Three or four words you can remember work well."
    if len(password) > LONGEST_PASSWORD:
        return f"Use at most {LONGEST_PASSWORD} characters."
    if _easy(password.lower(), username.lower()):
        return "This password is one of the first an attacker would try. Choose another."
    return None


def vault_name_problem(name: str) -> str | None:
    """What is wrong with the name of a new vault, as a sentence."""
    if not _VAULT.fullmatch(name) or name in _RESERVED_VAULTS:
        return (
            "A vault's name has 2 to 32 lower case letters, digits, dashes or underscores, and begins with a letter or "
            f"digit. {', '.join(sorted(_RESERVED_VAULTS))} are reserved."
        )
    return None


def display_name_problem(name: str) -> str | None:
    """What is wrong with the name of a person, as a sentence. Letters of every script and emoji are fine.

    >>> display_name_problem("Jürgen 🌷"), display_name_problem("a" * 65)
    (None, 'A name is one line of up to 64 characters.')
    """
    # Cf includes the joiners that emoji are made of, and marks that reverse the text after them.
    hidden = any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _REVERSING for letter in name)
    if hidden or len(name) > LONGEST_NAME:
        return f"A name is one line of up to {LONGEST_NAME} characters."
    return None


def username_from(name: str) -> str:
    """A username for somebody of this name, empty if there is nothing to make it from.

    >>> username_from("Jürgen Groß"), username_from("🌷")
    ('jurgen.gross', '')
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    made = re.sub(r"[^a-z0-9_-]+", ".", plain).strip("._-")[:64].rstrip("._-")
    return "" if username_problem(made) else made


def vault_name_for(username: str, taken: Collection[str]) -> str:
    """A free vault name for a person: their username, with a number if it is taken.

    >>> vault_name_for("Ada.L", {"ada-l"})
    'ada-l-2'
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", username.lower()).strip("-_")[:28].rstrip("-_")
    base = plain if vault_name_problem(plain) is None else f"vault-{plain}".rstrip("-")
    # Folders and other vaults may differ in case alone.
    used = {name.lower() for name in taken}
    numbered = (base if number == 1 else f"{base}-{number}" for number in range(1, len(used) + 2))
    return next(name for name in numbered if name not in used)


def is_any_vault(name: str) -> bool:
    """True if some release of the vault could have made a vault of this name."""
    return _ANY_VAULT.fullmatch(name) is not None


def vault_roles(value: Any, kept: Mapping[str, VaultRole]) -> dict[str, VaultRole]:
    """Parse vault roles: `{"name": "read"|"write"}`, or a list of names.

    In a list, a name keeps its role in `kept` and defaults to `write`, so that listing someone's vaults again does not
    widen their access. Raises Refused 400. Only the syntax of names is checked.
    """
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        value = {name: kept.get(name, "write") for name in value}
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", 'Give the vaults as {"name": "read"} or {"name": "write"}.')
    for name, role in value.items():
        if not is_any_vault(name):
            raise Refused(400, "invalid_request", f"{name[:64]!r} is not the name of a vault.")
        if role not in ("read", "write"):
            raise Refused(400, "invalid_request", f"For the vault {name[:64]!r} the role must be read or write.")
    return dict(value)


def _easy(password: str, username: str) -> bool:
    """True if little is left after removing the obvious parts."""
    for word in (*_COMMON, username):
        if len(word) >= 3:
            password = password.replace(word, "")
    return len(set(password)) < 6
