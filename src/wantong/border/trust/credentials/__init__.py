"""Credentials (电子证照): issued to whom they speak of, shown in part to whom they choose, checked by anyone.

Formats: SD-JWT VC (RFC 9901, draft-ietf-oauth-sd-jwt-vc) in :mod:`.sdjwt`, mdoc (ISO/IEC 18013-5) in :mod:`.mdoc`,
Token Status List in :mod:`.statuslist`; what kinds of credentials there are is data (:mod:`.types`). Issuing speaks
OpenID4VCI 1.0, verifying OpenID4VP 1.0. The formats are pure and know neither database nor network; the wallet and the
verifier's pages stand on them. Plan tasks 10, 44, 45, 47.
"""
