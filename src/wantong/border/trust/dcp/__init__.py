"""Claims: participants prove with verifiable credentials who they are and as what they act.

Speaks the Decentralized Claims Protocol 1.0 (Eclipse): ``did:web``, self-issued ID tokens, presentations as JWTs in
the profiles ``vc11-sl2021/jwt`` and ``vc20-bssl/jwt``, status lists. One of the schemes of
:mod:`wantong.border.trust.verifiers`, chosen peer by peer beside pinned keys. Plan task 4.

A peer is still recognised by a person: claims prove that whoever asks is that peer, and what an issuer whom this
node accepts says of it. Nobody gets in because a credential says so.
"""
