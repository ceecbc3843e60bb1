"""A hardware module that is none: SoftHSM with a token and keys of its own, for one test session."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)
LIBRARY = next((path for path in LIBRARIES if Path(path).exists()), None)
PIN = "471147"

needs_module = pytest.mark.skipif(
    LIBRARY is None or shutil.which("softhsm2-util") is None or importlib.util.find_spec("pkcs11") is None,
    reason="SoftHSM (Debian package softhsm2) or python-pkcs11 (extra hsm) is not installed",
)


@dataclass(frozen=True)
class Token:
    """A token called ``bay``, and the file with its PIN."""

    pin: Path

    def uri(
        self, label: str, *, token: str = "bay", pin: Path | None = None, library: str | None = LIBRARY
    ) -> str:
        """The address of the key with that label."""
        return (
            f"pkcs11:token={token};object={label}"
            f"?module-path={library}&pin-source=file:{self.pin if pin is None else pin}"
        )


def make(folder: Path) -> Token:
    """Start a module whose token is empty. Its configuration counts for this process and its children."""
    store = folder / "tokens"
    store.mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {store}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    made = subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "bay", "--pin", PIN, "--so-pin", "0000"],
        capture_output=True,
    )
    assert made.returncode == 0, made
    pin = folder / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    return Token(pin)


def put(label: str, kind: str) -> None:
    """Have the token make a key pair called ``label``: "P-256", "P-384", "Ed25519" or "RSA"."""
    import pkcs11
    from pkcs11 import Attribute, KeyType
    from pkcs11.util.ec import encode_named_curve_parameters

    module = pkcs11.lib(LIBRARY)
    module.reinitialize()
    with module.get_token(token_label="bay").open(rw=True, user_pin=PIN) as session:
        if kind == "RSA":
            session.generate_keypair(KeyType.RSA, 2048, store=True, label=label)
            return
        if kind == "Ed25519":
            curve, key = bytes.fromhex("130c656477617264733235353139"), KeyType.EC_EDWARDS
            parameters = session.create_domain_parameters(key, {Attribute.EC_PARAMS: curve}, local=True)
        else:
            name = {"P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}[kind]
            curve = encode_named_curve_parameters(name)
            parameters = session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: curve}, local=True
            )
        parameters.generate_keypair(store=True, label=label)
