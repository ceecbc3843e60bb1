"""Every verb of identity, credentials, the digital space and the verifier that changes something leaves an entry in the log,
or stands here with the reason why it does not."""

from __future__ import annotations

import ast
from pathlib import Path

import wantong.border.trust

TRUST = Path(wantong.border.trust.__file__).parent
ROOMS = (
    "identity/accounts", "identity/accounts/linking", "identity/accounts/recovery", "identity/accounts/sources",
    "identity/provider", "credentials", "wallet", "verifier", "proposals",
)  # fmt: skip
WRITES = {
    "save",
    "create",
    "delete",
    "update",
    "bulk_create",
    "get_or_create",
    "update_or_create",
    "put",
    "write_bytes",
}
ENTERS = {"record", "happened", "_note", "_log", "_log_consent", "_change", "_closed", "_moved", "_decided"}
PURE = {"admin.py", "dcql.py", "pages.py", "sdjwt.py"}
OWN_HISTORY = "its holder sees it in his own history and in the list of his sessions; a log of who came when is none of the bay's business"
MACHINERY = "remembers a challenge, a nonce or a half-made request for minutes: nothing has come of it yet"
CALLER = "the verb that calls it makes the entry, in the same transaction"
REASONS = {
    "identity/accounts/presence.py": {
        "present": OWN_HISTORY, "staff_began": OWN_HISTORY, "staff_ended": OWN_HISTORY, "staff_moved": OWN_HISTORY,
        "_end": OWN_HISTORY,
    },
    "identity/accounts/authenticators.py": {
        "options_for": MACHINERY, "handle_of": MACHINERY, "_answered": MACHINERY, "_keep": CALLER,
    },
    "identity/accounts/linking/services.py": {"sit_down": MACHINERY, "_store": MACHINERY},
    "identity/accounts/recovery/services.py": {"_decide": CALLER},
    "identity/accounts/sources/services.py": {"begin": MACHINERY, "finish": MACHINERY},
    "identity/provider/memory.py": {"prune": MACHINERY},
    "identity/provider/registration.py": {"keys_of": "keeps what the client itself publishes, for an hour"},
    "identity/provider/authorising.py": {
        "_pushed": MACHINERY, "_store": MACHINERY, "advance": MACHINERY, "_answer": MACHINERY,
        "allow": "the consent is the entry; a code that rests on it is a use, which the person sees under his services",
    },
    "identity/provider/consents.py": {
        "subject_of": "a pseudonym for a sector, made when it is first needed", "note_use": "this is what the person sees",
    },
    "identity/provider/granting.py": {
        "_issue": "a token by a consent or a client that stand in the log; the person sees each use",
        "by_code": "as above", "by_refresh": "as above",
    },
    "credentials/issuing.py": {
        "_issue": CALLER, "_wait": "the record that waits stands in the log; nothing is given yet",
        "fetch_later": CALLER, "forget": "lets go of what was kept for lost answers, a day after it was issued",
    },
    "credentials/statuses.py": {"take_place": CALLER},
    "wallet/services.py": {"put": CALLER},
    "wallet/resealing.py": {"hurry": "brings a change of keys nearer that the operator has begun; the log has what is sealed anew"},
    "wallet/showing.py": {"ask": "a question its holder is looking at; what comes of it is the entry"},
    "wallet/taking.py": {
        "begin": MACHINERY, "_forget_signing_in": MACHINERY, "finish": MACHINERY,
        "_fetch": "what comes, or does not, is the entry", "_ask": "as above",
    },
    "verifier/services.py": {"_forget": CALLER},
}  # fmt: skip


def silent() -> set[tuple[str, str]]:
    """The functions that write and make no entry themselves."""
    found = set()
    for room in ROOMS:
        for path in (TRUST / room).glob("*.py"):
            for function in ast.parse(path.read_text()).body:
                if not isinstance(function, ast.FunctionDef):
                    continue
                called = {name(node) for node in ast.walk(function) if isinstance(node, ast.Call)}
                # a digest is updated too; what is pure knows no row
                stored = "objects" in ast.unparse(function) or bool(called & {"save", "put", "delete"})
                if stored and called & WRITES and not called & ENTERS and path.name not in PURE:
                    found.add((f"{room}/{path.name}", function.name))
    return found


def name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def test_what_changes_something_stands_in_the_log_or_here():
    reasons = {(file, verb) for file, verbs in REASONS.items() for verb in verbs}
    found = silent()
    assert sorted(found - reasons) == [], "record it in the log, or say here why not"
    assert sorted(reasons - found) == [], "these make an entry, or are gone"
