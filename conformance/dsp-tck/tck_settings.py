"""A node's settings, and the scripted participant that the kit wants to talk to. For this one check only."""

from wantong.node.settings import *  # noqa: F403 - these are settings

WANTONG_CONDUCT = "tck_participant.Conduct"
WANTONG_SCHEMES = {"kit": "tck_participant.KitScheme"}
ROOT_URLCONF = "tck_urls"
