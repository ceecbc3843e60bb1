"""The two key pairs of a node: ``log.key`` signs its checkpoints, ``witness.key`` cosigns those of others."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from wantong.ground import keyring
from wantong.ground.log.note import COSIGNATURE, ED25519, SigningKey

LOG_KEY = "log.key"
WITNESS_KEY = "witness.key"


class NodeKeys(NamedTuple):
    """``log`` (name: the participant id, which is the log's origin) and ``witness`` (name: ``<id>/witness``)."""

    log: SigningKey
    witness: SigningKey
    others: tuple[tuple[SigningKey, SigningKey, datetime | None], ...] = ()
    """While keys are changed the other pair, which has no time; then those left behind, with until when they signed."""

    @property
    def signers(self) -> tuple[SigningKey, ...]:
        """The keys that sign this log's checkpoints: two while one takes over from the other."""
        return (self.log, *(log for log, _, until in self.others if until is None))


def witness_name(participant_id: str) -> str:
    """The name under which a node cosigns."""
    return f"{participant_id}/witness"


def generate_keys(directory: Path, participant_id: str) -> NodeKeys:
    """Make the keys that are missing in ``directory`` (mode 0600, never overwritten) and return both.

    Raises :class:`~wantong.ground.log.problems.Malformed` if the id cannot be a key name, or if a file there
    holds no key.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    _generate(directory / LOG_KEY, participant_id, ED25519)
    _generate(directory / WITNESS_KEY, witness_name(participant_id), COSIGNATURE)
    return load_keys(directory)


def load_keys(directory: Path) -> NodeKeys:
    """The keys in ``directory``, as far as a change of them has come. Raises FileNotFoundError or ``Malformed``."""
    beside = zip(keyring.beside(directory, LOG_KEY), keyring.beside(directory, WITNESS_KEY), strict=True)
    retired = zip(keyring.retired(directory, LOG_KEY), keyring.retired(directory, WITNESS_KEY), strict=True)
    return NodeKeys(
        _read(keyring.active(directory, LOG_KEY)),
        _read(keyring.active(directory, WITNESS_KEY)),
        (
            *((_read(log), _read(witness), None) for log, witness in beside),
            *((_read(log.file), _read(witness.file), log.until) for log, witness in retired),
        ),
    )


def _read(path: Path) -> SigningKey:
    return SigningKey.loads(path.read_text())


def _generate(path: Path, name: str, algorithm: int) -> None:
    secret = SigningKey.generate(name, algorithm).dumps() + "\n"
    # several processes may come here at once, and a killed one may come again: the first key stays
    keyring.write_once(path, secret)
