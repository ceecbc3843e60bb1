"""Trust lists (互认根): whose certificates, credentials and sign-ins are recognised, since when, and until when.

Every node signs its own list and countersigns its peers' (the scheme of Guangdong and Hong Kong of 2012); a peer's list
counts here in the version that two people have countersigned. :func:`recognise` names the five things that the scheme
asks of a certificate: the period of recognition, the named root, the named signing CA, the name of the type of
certificate, the policy. The history in a list says what was so when an old signature was made.

Speaks JSON signed as JWS, ETSI TS 119 612 XML and OpenID Federation 1.0. Plan tasks 10, 18, 47.
"""

from wantong.border.trust.lists.problems import BadList
from wantong.border.trust.lists.recognition import Effective, Recognition, recognise
from wantong.border.trust.lists.trustlist import (
    Period,
    Provider,
    Service,
    ServiceType,
    State,
    Status,
    TrustList,
)

__all__ = [
    "BadList",
    "Effective",
    "Period",
    "Provider",
    "Recognition",
    "Service",
    "ServiceType",
    "State",
    "Status",
    "TrustList",
    "recognise",
]
