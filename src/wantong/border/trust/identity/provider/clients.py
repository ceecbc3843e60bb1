"""Clients by their metadata (RFC 7591): what is checked once, when one is registered, and holds from then on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from wantong.border.trust.identity.provider import jose
from wantong.border.trust.identity.provider.problems import InvalidClientMetadata, InvalidRedirectUri
from wantong.border.trust.verdict import Refused
from wantong.ground.i18n import LANGUAGES

PUBLIC, PRIVATE_KEY, ATTESTED, ATTESTED_DPOP = (
    "none", "private_key_jwt", "attest_jwt_client_auth", "attest_jwt_client_auth_dpop",
)  # fmt: skip
METHODS = (PRIVATE_KEY, PUBLIC, ATTESTED, ATTESTED_DPOP)
"""How clients prove who they are. There are no shared secrets here."""
CODE, REFRESH, MACHINE = "authorization_code", "refresh_token", "client_credentials"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FORM = re.compile(r"[A-Za-z0-9._:/~-]{1,200}")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
TAGS: Mapping[str, str] = {"zh-hans": "zh-hans", "zh-cn": "zh-hans", "zh-sg": "zh-hans", "zh": "zh-hans", "zh-hant": "zh-hant",
        "zh-hk": "zh-hant", "zh-mo": "zh-hant", "zh-tw": "zh-hant", "pt": "pt", "pt-pt": "pt", "en": "en"}  # fmt: skip


@dataclass(frozen=True)
class Client:
    """A program that asks people or this node for something; field names as RFC 7591 has them where it has them."""

    client_id: str
    name: Mapping[str, str]
    application_type: str = "web"
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = (CODE,)
    auth_method: str = PRIVATE_KEY
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    scope: tuple[str, ...] = ()
    authorization_details_types: tuple[str, ...] = ()
    sector_identifier_uri: str = ""
    require_pushed: bool = False
    require_signed: bool = False
    dpop_bound: bool = False
    default_max_age: int | None = None
    default_acr_values: tuple[str, ...] = ()
    backchannel_logout_uri: str = ""
    rotates: bool = True
    """Refresh tokens change with each use. FAPI 2.0 forbids that for clients that bind their tokens to a key."""
    resources: tuple[str, ...] = ()
    """Addresses elsewhere for which it gets access tokens (RFC 8707); those of this node it always may."""
    introspects: tuple[str, ...] = ()
    """It is itself a resource server, and may ask about tokens for these addresses (RFC 7662)."""
    client_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""

    @property
    def confidential(self) -> bool:
        """It proves who it is."""
        return self.auth_method != PUBLIC

    @property
    def sector(self) -> str:
        """Whose pairwise subjects it sees (OpenID Core, 8.1): those of one host, or of one sector identifier."""
        told = self.sector_identifier_uri or next(iter(self.redirect_uris), "")
        return (urlsplit(told).hostname or told) if told else self.client_id

    def redirects_to(self, address: str) -> bool:
        """Whether codes may be sent to ``address``: exactly as registered (of a native app any port of loopback)."""
        if address in self.redirect_uris:
            return True
        if self.application_type != "native":
            return False
        return any(_loopback_alike(known, address) for known in self.redirect_uris)


def read(client_id: str, told: Mapping[str, Any]) -> Client:
    """The client of that metadata. Raises :class:`.InvalidClientMetadata`, :class:`.InvalidRedirectUri`."""
    if not _FORM.fullmatch(client_id):
        raise InvalidClientMetadata("metadata-field", field="client_id")
    method = told.get("token_endpoint_auth_method", PRIVATE_KEY)
    kind = told.get("application_type", "web")
    grants = _texts(told, "grant_types", (CODE,))
    redirects = _texts(told, "redirect_uris")
    client = Client(
        client_id=client_id,
        name=_names(told, client_id),
        application_type=kind,
        redirect_uris=redirects,
        post_logout_redirect_uris=_texts(told, "post_logout_redirect_uris"),
        grant_types=grants,
        auth_method=method,
        jwks=told.get("jwks"),
        jwks_uri=_address(told, "jwks_uri"),
        scope=tuple(dict.fromkeys(_text(told, "scope", longest=4000).split())),
        authorization_details_types=_texts(told, "authorization_details_types"),
        sector_identifier_uri=_address(told, "sector_identifier_uri"),
        require_pushed=_flag(told, "require_pushed_authorization_requests"),
        require_signed=_flag(told, "require_signed_request_object"),
        dpop_bound=_flag(told, "dpop_bound_access_tokens"),
        default_max_age=_seconds(told, "default_max_age"),
        default_acr_values=_texts(told, "default_acr_values"),
        backchannel_logout_uri=_address(told, "backchannel_logout_uri"),
        rotates=_flag(told, "rotate_refresh_tokens", True),
        resources=_texts(told, "resources"),
        introspects=_texts(told, "introspects"),
        client_uri=_address(told, "client_uri"),
        policy_uri=_address(told, "policy_uri"),
        tos_uri=_address(told, "tos_uri"),
    )
    if kind not in ("web", "native"):
        raise InvalidClientMetadata("metadata-field", field="application_type")
    if method not in METHODS:
        raise InvalidClientMetadata("metadata-method", methods=", ".join(METHODS))
    if _texts(told, "response_types", ("code",)) not in (("code",), ()):
        raise InvalidClientMetadata("metadata-field", field="response_types")
    if told.get("subject_type", "pairwise") != "pairwise":
        raise InvalidClientMetadata("metadata-field", field="subject_type")
    for field, allowed in (
        ("id_token_signed_response_alg", (jose.SIGNS,)),
        ("token_endpoint_auth_signing_alg", jose.ALGORITHMS),
        ("request_object_signing_alg", jose.ALGORITHMS),
    ):
        if told.get(field, allowed[0]) not in allowed:
            raise InvalidClientMetadata("metadata-algorithm", field=field, algorithms=", ".join(allowed))
    if told.get("userinfo_signed_response_alg") or told.get("id_token_encrypted_response_alg"):
        raise InvalidClientMetadata("metadata-field", field="userinfo_signed_response_alg")
    for address in (*client.resources, *client.introspects):
        if not _absolute(address):
            raise InvalidClientMetadata("metadata-field", field="resources")
    _check_addresses(client)
    _check_keys(client)
    return client


def _check_addresses(client: Client) -> None:
    if CODE in client.grant_types and not client.redirect_uris:
        raise InvalidRedirectUri("redirect-none")
    for address in (*client.redirect_uris, *client.post_logout_redirect_uris):
        check_redirect(address, native=client.application_type == "native")
    hosts = {urlsplit(address).hostname for address in client.redirect_uris}
    if len(hosts) > 1 and not client.sector_identifier_uri:
        # whose subjects would it see? (OpenID Core, 8.1)
        raise InvalidClientMetadata("metadata-sector")


def _check_keys(client: Client) -> None:
    signs = client.auth_method == PRIVATE_KEY or client.require_signed
    if client.jwks is not None and client.jwks_uri:
        raise InvalidClientMetadata("metadata-two-key-sets")
    try:
        keys = [] if client.jwks is None else jose.public_keys(client.jwks)
    except Refused:
        raise InvalidClientMetadata("metadata-keys") from None
    if signs and not keys and not client.jwks_uri:
        raise InvalidClientMetadata("metadata-keys")
    if MACHINE in client.grant_types and not client.confidential:
        raise InvalidClientMetadata("metadata-public-machine")
    if client.introspects and client.auth_method != PRIVATE_KEY:
        raise InvalidClientMetadata("metadata-public-machine")


def check_redirect(address: str, *, native: bool) -> None:
    """Return if codes might be sent there: https, or loopback, or a native app's own scheme (RFC 8252, OAuth 2.1).

    Raises :class:`.InvalidRedirectUri`.
    """
    parts = _split(address)
    if parts is None or "@" in parts.netloc or "#" in address or len(address) > 2000:
        raise InvalidRedirectUri("redirect-form", address=address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname in LOOPBACK:
        return
    # a scheme that somebody owns is the reverse of a host name of his (RFC 8252, 7.1)
    if native and "." in parts.scheme and _SCHEME.fullmatch(parts.scheme):
        return
    raise InvalidRedirectUri("redirect-scheme", address=address)


def _loopback_alike(known: str, asked: str) -> bool:
    """A native app listens on loopback at whatever port is free (RFC 8252, 7.3); nothing else may differ."""
    one, other = _split(known), _split(asked)
    if one is None or other is None or "@" in other.netloc or "#" in asked:
        return False
    try:
        if not ip_address(one.hostname or "").is_loopback:
            return False
    except ValueError:
        return False
    return (one.scheme, one.hostname, one.path, one.query) == (
        other.scheme, other.hostname, other.path, other.query,
    ) and one.scheme == "http"  # fmt: skip


def _split(address: str) -> Any:
    if not address.isascii() or not address.isprintable() or set(address) & set(' \\"<>^`{|}'):
        return None
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None


def _absolute(address: str) -> bool:
    parts = _split(address)
    return parts is not None and "#" not in address


def _names(told: Mapping[str, Any], client_id: str) -> Mapping[str, str]:
    """``client_name`` and ``client_name#<tag>`` (RFC 7591, 2.2) as a language map."""
    found: dict[str, str] = {}
    for field, value in told.items():
        name, _, tag = field.partition("#")
        if name != "client_name":
            continue
        if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
            raise InvalidClientMetadata("metadata-field", field=field)
        if lang := TAGS.get(tag.lower() or "en"):
            found[lang] = value
    return {lang: found[lang] for lang in LANGUAGES if lang in found} or {"en": client_id}


def _text(told: Mapping[str, Any], field: str, *, longest: int = 2000) -> str:
    value = told.get(field, "")
    if not isinstance(value, str) or len(value) > longest:
        raise InvalidClientMetadata("metadata-field", field=field)
    return value


def _texts(told: Mapping[str, Any], field: str, default: Sequence[str] = ()) -> tuple[str, ...]:
    value = told.get(field, default)
    if (
        not isinstance(value, Collection)
        or isinstance(value, str | Mapping)
        or len(value) > 50
        or not all(isinstance(one, str) and 0 < len(one) <= 2000 for one in value)
    ):
        raise InvalidClientMetadata("metadata-field", field=field)
    return tuple(dict.fromkeys(value))


def _flag(told: Mapping[str, Any], field: str, default: bool = False) -> bool:
    value = told.get(field, default)
    if not isinstance(value, bool):
        raise InvalidClientMetadata("metadata-field", field=field)
    return value


def _seconds(told: Mapping[str, Any], field: str) -> int | None:
    value = told.get(field)
    if value is not None and (type(value) is not int or not 0 <= value < 1 << 31):
        raise InvalidClientMetadata("metadata-field", field=field)
    return value


def _address(told: Mapping[str, Any], field: str) -> str:
    value = _text(told, field)
    if value:
        parts = _split(value)
        safe = parts is not None and parts.hostname and "@" not in parts.netloc and not parts.fragment
        if not safe or not (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        ):
            raise InvalidClientMetadata("metadata-field", field=field)
    return value
