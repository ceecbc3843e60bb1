"""The node's own OAuth 2.1 and OpenID provider: for people who sign in elsewhere, for machines, for issuing credentials.

Standards: OAuth 2.1 (code with PKCE only), OpenID Connect Core 1.0, RFC 8414 (metadata), 9126 (PAR), 9101 (JAR by
value), 9449 (DPoP), 7523 (private_key_jwt), 9396 (authorization_details), 9068 (JWT access tokens), 9207 (iss), 7009
(revocation), 7662 (introspection), 7591 (client metadata), RP-initiated and back-channel logout, attestation-based
client authentication; what FAPI 2.0 and HAIP ask of a provider. Tasks 10, 18 and 43 of the plan.

For other parts of the node, each in its module:

- :func:`.access.protect`: who calls a resource, and what he may
- :func:`.grants.register`: another kind of grant at the token endpoint
- :func:`.details.register`: another type of ``authorization_details``
- :func:`.scopes.extend`: more scopes
"""
