"""What can go wrong, as the standards name it: each error has the stable ``code`` that goes over the wire.

``why`` is a code of ours with words in four languages (``provider.why.<why>``): people read them on a page, programs
as ``error_description`` in English.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from wantong.ground import i18n
from wantong.ground.problems import Problem


class OAuthError(Problem):
    """A request of a client that is refused; the base of all errors with a ``code``."""

    slug: ClassVar[str] = "oauth-request"
    status: ClassVar[int] = 400
    code: ClassVar[str] = "invalid_request"
    CODES: ClassVar[Mapping[str, str]] = {"why": "provider.why"}

    def __init__(self, why: str, **params: Any) -> None:
        super().__init__(why=why, **{name: str(value)[:200] for name, value in params.items()})

    @property
    def why(self) -> str:
        return str(self.params["why"])

    def to_oauth(self) -> dict[str, str]:
        """``error`` and ``error_description`` (RFC 6749, 5.2): English, ASCII without quotes and backslashes."""
        text = i18n.t(f"provider.why.{self.why}", "en", **self.params)
        plain = text.replace("“", "'").replace("”", "'").replace("’", "'").replace("–", "-")
        shown = "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in plain)
        return {"error": self.code, "error_description": shown}


class InvalidRequest(OAuthError):
    """A parameter is missing, stands twice, or has a form that it cannot have."""


class InvalidClient(OAuthError):
    """Who asks has not proven to be the client he names."""

    slug = "oauth-client"
    status = 401
    code = "invalid_client"


class UseAttestationChallenge(InvalidClient):
    """The proof of a wallet's attestation lacks a fresh challenge of this node."""

    status = 400
    code = "use_attestation_challenge"


class UseFreshAttestation(InvalidClient):
    """The attestation of a wallet has expired."""

    status = 400
    code = "use_fresh_attestation"


class UnauthorizedClient(OAuthError):
    """The client is not registered for what it asks."""

    code = "unauthorized_client"


class InvalidGrant(OAuthError):
    """A code or refresh token is unknown, spent, expired, or of somebody else."""

    code = "invalid_grant"


class UnsupportedGrantType(OAuthError):
    """There is no such grant here."""

    code = "unsupported_grant_type"


class InvalidScope(OAuthError):
    """A scope that does not exist, or that this client may not ask for."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """A resource (RFC 8707) for which this client gets no tokens."""

    code = "invalid_target"


class UnsupportedResponseType(OAuthError):
    """Only codes are given out."""

    code = "unsupported_response_type"


class InvalidRequestObject(OAuthError):
    """A signed request (RFC 9101) that proves nothing."""

    code = "invalid_request_object"


class RequestUriNotSupported(OAuthError):
    """Requests by reference are taken only if they were pushed to this node."""

    code = "request_uri_not_supported"


class InvalidAuthorizationDetails(OAuthError):
    """``authorization_details`` (RFC 9396) of an unknown type, or with unknown content."""

    code = "invalid_authorization_details"


class InvalidDpopProof(OAuthError):
    """A DPoP proof (RFC 9449) that proves nothing about this request."""

    code = "invalid_dpop_proof"


class UseDpopNonce(OAuthError):
    """A DPoP proof has to carry the nonce that goes with this answer."""

    code = "use_dpop_nonce"


class AccessDenied(OAuthError):
    """The person has said no."""

    slug = "oauth-person"
    status = 403
    code = "access_denied"


class LoginRequired(OAuthError):
    """Nobody (or somebody else) is signed in, and the client wants no page shown."""

    slug = "oauth-person"
    code = "login_required"


class ConsentRequired(OAuthError):
    """The person has not been asked yet, and the client wants no page shown."""

    slug = "oauth-person"
    code = "consent_required"


class UnmetAuthenticationRequirements(OAuthError):
    """The person cannot sign in as strongly as the client insists."""

    slug = "oauth-person"
    code = "unmet_authentication_requirements"


class InvalidRedirectUri(OAuthError):
    """A redirect address that no client may register (RFC 7591)."""

    code = "invalid_redirect_uri"


class InvalidClientMetadata(OAuthError):
    """Client metadata (RFC 7591) that cannot be as it is."""

    code = "invalid_client_metadata"


class InvalidToken(OAuthError):
    """An access token that opens nothing here (any more)."""

    slug = "oauth-token"
    status = 401
    code = "invalid_token"

    def __init__(self, why: str, *, scheme: str = "DPoP", **params: Any) -> None:
        super().__init__(why, **params)
        self.scheme = scheme
        self.more: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        """The challenge (RFC 6750, RFC 9449)."""
        from wantong.border.trust.identity.provider.jose import ALGORITHMS

        told = {**self.to_oauth(), **({"algs": " ".join(ALGORITHMS)} if self.scheme == "DPoP" else {})}
        if self.why == "token-missing":
            # RFC 6750, 3.1: who has shown nothing is told nothing
            told = {name: text for name, text in told.items() if name == "algs"}
        words = ", ".join(f'{name}="{text}"' for name, text in told.items())
        return {**self.more, "WWW-Authenticate": f"{self.scheme} {words}".strip()}


class InsufficientScope(InvalidToken):
    """The token is good, but not for this."""

    status = 403
    code = "insufficient_scope"


class RefusedProof(InvalidToken):
    """The DPoP proof beside an access token proves nothing about this request."""

    code = "invalid_dpop_proof"


class NonceWanted(InvalidToken):
    """The DPoP proof beside an access token has to carry the nonce that goes with this answer."""

    code = "use_dpop_nonce"

    def __init__(self, why: str, *, nonce: str) -> None:
        super().__init__(why)
        self.more["DPoP-Nonce"] = nonce


class UnknownClient(Problem):
    """There is no client called ``client``."""

    slug = "oauth-unknown-client"
    status = 404


class SamePerson(Problem):
    """Who registered a client that asks for identity claims may not approve it."""

    slug = "oauth-same-person"
    status = 403


class NotInThisState(Problem):
    """``act`` is not possible while the client is ``state``."""

    slug = "oauth-not-in-this-state"
    status = 409


class UnknownConsent(Problem):
    """The person has given no such consent, or has taken it back."""

    slug = "oauth-unknown-consent"
    status = 404


class UnknownRequest(Problem):
    """A request for a sign-in that is unknown, finished or too old."""

    slug = "oauth-unknown-request"
    status = 404
