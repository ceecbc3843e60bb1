"""A node's settings, and the scheme of a connector that proves nothing. For this one check only."""

from wantong.node.settings import *  # noqa: F403 - these are settings

WANTONG_SCHEMES = {
    "pinned-keys": "wantong.border.trust.verifiers.PinnedKeys",
    "mock": "edc_scheme.MockIam",
}
