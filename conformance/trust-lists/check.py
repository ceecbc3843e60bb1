"""The lists of a real node before the readers of others, unmodified. Prints how many checks passed; exit 1 if one did not."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / "src"), str(ROOT)]
PUBLISH = """
import json, sys
from pathlib import Path
from wantong.node import setup
setup.enter(Path(sys.argv[1]))
from wantong.border.trust.lists import proposing
from wantong.ground import config
from wantong.node.demo import trust
told = json.loads(sys.argv[2])
state = {"status": "granted", "name": {"en": "One Account"}, "period": {"since": "2026-01-01T00:00:00Z"},
         "entity_id": told["url"], "jwks": [told["jwk"]]}
wish = {"provider": {"id": "one", "name": {"en": "One Account"}, "uri": told["url"]},
        "service": {"id": "one-account", "type": "identity-provider"}, "state": state}
made = proposing.propose(trust.REGISTRAR, [*trust.wishes(config.current()), wish])
proposing.approve(trust.OFFICER, made.id)
proposing.take_effect(str(made.id))
"""


def tell(entity: subprocess.Popen[str], line: str) -> str:
    assert entity.stdin and entity.stdout
    entity.stdin.write(f"{line}\n")
    return entity.stdout.readline().strip()


def taken_in(
    node: Path, url: str, entity: subprocess.Popen[str], environment: dict[str, str]
) -> dict[str, bool]:
    """An anchor that the library speaks for is read into a list by the node's own command, as long as it is it."""
    keys = node / "anchor-keys.json"
    tell(entity, f"anchor honest {keys}")
    run = [sys.executable, "-m", "wantong", "trust", "list"]
    pinned = ["pin", str(node), "other:anchor", str(keys), "--url", f"{url}/anchor"]
    subprocess.run([*run, *pinned], env=environment, check=True, capture_output=True)
    gather = [*run, "gather", str(node), "other:anchor"]
    honest = subprocess.run(gather, env=environment, capture_output=True, text=True, check=False)
    tell(entity, f"anchor meddle {keys}")
    meddled = subprocess.run(gather, env=environment, capture_output=True, text=True, check=False)
    return {
        "its anchor read": honest.returncode == 0
        and f"{url}#identity-provider: One Account" in honest.stdout,
        "its anchor forged": meddled.returncode == 2 and "anchor's" in meddled.stderr + meddled.stdout,
    }


def policies_alike(folder: Path, entity: subprocess.Popen[str]) -> bool:
    """What a policy makes of metadata: the same here and there, in 500 cases.

    Without ``superset_of``, which release 0.2.1 tests the other way round, and without intersections in which nothing is
    left: it takes the parameter out, the standard leaves the empty array (section 6.1.3.1.6).
    """
    from wantong.border.trust.lists.federated import Unfit, _under

    dice = random.Random(7)

    def some() -> list[str]:
        return dice.sample("abcde", dice.randrange(1, 5))

    rules = {
        "value": some, "add": some, "default": some, "subset_of": some, "essential": lambda: dice.random() < 0.7,
        "one_of": lambda: dice.sample("abc", 2),
    }  # fmt: skip
    cases = []
    for _ in range(500):
        single = dice.random() < 0.3
        fit = ["one_of", "essential"] if single else ["value", "add", "default", "subset_of", "essential"]
        about = {"p": dice.choice("abcde") if single else some()} if dice.random() < 0.8 else {}
        names = dice.sample(fit, dice.randrange(1, len(fit) + 1))
        if not about and "subset_of" in names and not {"value", "add", "default"} & set(names):
            continue  # what is not there is no subset to them, and nothing to the standard
        cases.append({"policy": {"p": {name: rules[name]() for name in names}}, "about": about})
    (folder / "cases.json").write_text(json.dumps(cases))
    tell(entity, f"policies {folder / 'cases.json'} {folder / 'found.json'}")
    found = json.loads((folder / "found.json").read_text())

    def ours(case: dict[str, dict[str, object]]) -> dict[str, object] | None:
        try:
            return _under(case["policy"], case["about"])
        except Unfit:
            return None

    pairs = [(case, theirs, ours(case)) for case, theirs in zip(cases, found, strict=True)]
    differ = [pair for pair in pairs if pair[1] != pair[2] != {"p": []}]
    for case, theirs, mine in differ[:5]:
        print(f"   {case}: {theirs} there, {mine} here")
    return not differ


def main() -> int:
    import nodes
    from asn1crypto import x509
    from pyhanko.sign.validation.qualified import eutl_parse

    from wantong.node.bay import BayNode, free_ports

    passed: dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, taken = Path(name), set[int]()
        port, _ = free_ports(0, taken)
        node = nodes.make(BayNode, folder / "node", "mo", "mo.test.example", taken=taken)
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        command = ["node", "entity.mjs", str(port), node.url]
        with subprocess.Popen(
            command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as entity:
            assert entity.stdin and entity.stdout
            told = {"url": f"http://127.0.0.1:{port}", "jwk": json.loads(entity.stdout.readline())}
            publish = [sys.executable, "-c", PUBLISH, str(node.directory), json.dumps(told)]
            subprocess.run(publish, env=environment, check=True)
            with nodes.running(node):
                for asked, wanted in (("resolve", "chain 2"), ("forge", "none"), ("stranger", "none")):
                    entity.stdin.write(f"{asked}\n")
                    answer = entity.stdout.readline().strip()
                    passed[f"@openid-federation/core: {asked}: {answer}"] = answer.startswith(wanted)
                passed |= taken_in(node.directory, told["url"], entity, environment)
                passed["@openid-federation/core: policies alike"] = policies_alike(folder, entity)
                xml = httpx.get(f"{node.url}/trust/list.xml", trust_env=False).content
                jws = httpx.get(f"{node.url}/trust/list.json", trust_env=False).json()
        header = json.loads(base64.urlsafe_b64decode(jws["protected"] + "=="))
        signer = base64.b64decode(header["x5c"][0])
        (folder / "signer.der").write_bytes(signer)
        for change, holds in ((xml, True), (xml.replace(b"One Account", b"Two Account", 1), False)):
            (folder / "list.xml").write_bytes(change)
            ids = ["--id-attr:Id", "TrustServiceStatusList", "--id-attr:Id", "SignedProperties"]
            command = ["xmlsec1", "--verify", *ids, "--trusted-der", "signer.der", "list.xml"]
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
            passed[f"xmlsec1: {'as served' if holds else 'tampered with'}"] = (done.returncode == 0) is holds
        certificate = x509.Certificate.load(signer)
        registry, errors = eutl_parse.trust_list_to_registry(xml.decode(), [certificate])
        passed["pyHanko: verified and parsed"] = registry is not None and not errors
    for what, good in passed.items():
        if not good:
            print(f"   {what}")
    print(
        f"trust lists: {sum(passed.values())} of {len(passed)} checks by xmlsec1, pyHanko and @openid-federation/core"
    )
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
