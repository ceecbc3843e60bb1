"""A node's settings, and what it overlooks for the kit's sake. For this one check only.

The newest kit in Maven Central names no relationships in its DID documents, no context and no general type in its
credentials, puts a credential's own id into ``sub``, and has other words for the profiles; later ones, not published
there, do it right. Everything else is judged as always, and http is taken at loopback only.
"""

from pathlib import Path

from wantong.node.settings import *  # noqa: F403 - these are settings

WANTONG_CLAIMS = {
    "credentials": str(Path(__file__).with_name("credentials.yaml")),
    "networks": ["127.0.0.0/8", "::1/128"],
    "tolerates": ["no-relationships", "vc-context", "vc-type", "vc-subject", "vc-format"],
}
ROOT_URLCONF = "tck_urls"
