"""Trust: which nodes this node recognises, and how it knows that a message is theirs.

A node shows itself with a *card* (``card.json``), signed with its own key. An operator who has checked a card by
another way (a phone call, a gazette) *pins* it; from then on the keys on it speak for that node. Between pinned
nodes every request carries a JWT (RFC 7519, Ed25519 by RFC 9864) that is good for one request within one minute.

Plan task 4. A connector of another make is *introduced* instead, and known by a scheme of its own (verifiable
presentations, mutual TLS …): a :class:`~wantong.border.trust.verifiers.Scheme` named in the setting ``WANTONG_SCHEMES``.
"""
