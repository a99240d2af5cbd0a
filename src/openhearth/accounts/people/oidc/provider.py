"""An OpenID Connect provider as a client sees it: discovery, the code's exchange, and what a token may be believed for.

Authorization code with PKCE only. Tokens must be signed with a key pair; `none` and shared secrets are not accepted.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from openhearth.errors import AuthenticationFailed, ServerError, SetupError
from openhearth.settings import OidcSettings, secret

if TYPE_CHECKING:
    import aiohttp

LARGEST = 2**18
TIMEOUT_S = 10
CACHED_S = 3600
REFETCH_S = 60
"""An unknown key makes us look for new ones this often at most."""
LEEWAY_S = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class ProviderUnavailable(ServerError):
    """The provider can't be reached, or doesn't answer as one."""

    status = 503
    code = "provider_unavailable"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the provider says it is. `email` only where the provider has verified it."""

    subject: str
    email: str | None
    name: str


class Provider:
    """The settings'. Raises SetupError for what can't be trusted or isn't installed."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._secret = secret(settings.client_secret_env, "oidc")
        self._session: aiohttp.ClientSession | None = None
        self._cached: dict[str, tuple[float, dict[str, Any]]] = {}
        _check_installed()
        if not _is_safe(settings.issuer):
            raise SetupError("oidc: the issuer must be an https address (http only on this machine itself).", exit_status=78)

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Where the browser is sent. Raises ProviderUnavailable."""
        endpoint = await self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    async def identify(self, code: str, verifier: str, redirect_uri: str, nonce: str) -> Identity:
        """Redeem the code. Raises AuthenticationFailed, ProviderUnavailable."""
        tokens = await self._redeem(code, verifier, redirect_uri)
        claims = await self._verified(str(tokens.get("id_token", "")), nonce)
        about = claims
        if "email" not in claims and isinstance(tokens.get("access_token"), str):
            about = {**await self._user_info(tokens["access_token"], claims["sub"]), "sub": claims["sub"]}
        email = about.get("email")
        verified = about.get("email_verified") is True and isinstance(email, str)
        name = about.get("name")
        return Identity(f"{self._settings.issuer}|{claims['sub']}", email if verified else None, name if isinstance(name, str) else "")

    async def check_issuer(self, issuer: str | None) -> None:
        """The answer's `iss` (RFC 9207), where there is one. Raises AuthenticationFailed."""
        if issuer is not None and issuer != self._settings.issuer:
            raise _distrusted("it comes from another issuer")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _redeem(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier}
        headers = {}
        methods = (await self._metadata()).get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret is None:
            form["client_id"] = self._settings.client_id
        elif "client_secret_basic" in methods:
            headers["authorization"] = _basic(self._settings.client_id, self._secret)
        else:
            form |= {"client_id": self._settings.client_id, "client_secret": self._secret}
        return await self._fetch("POST", await self._endpoint("token_endpoint"), data=form, headers=headers)

    async def _user_info(self, access_token: str, subject: str) -> dict[str, Any]:
        endpoint = await self._endpoint("userinfo_endpoint")
        told = await self._fetch("GET", endpoint, headers={"authorization": f"Bearer {access_token}"})
        if told.get("sub") != subject:
            raise _distrusted("its user info is about somebody else")
        return told

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        offered = (await self._metadata()).get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [name for name in ALGORITHMS if name in offered]
        try:
            try:
                claims = jwt.decode(token, await self._keys(CACHED_S), algorithms=algorithms).claims
            except (InvalidKeyIdError, ValueError):
                claims = jwt.decode(token, await self._keys(REFETCH_S), algorithms=algorithms).claims
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise _distrusted(f"its token is not valid ({type(error).__name__})") from None
        self._check_claims(claims, nonce)
        return claims

    def _check_claims(self, claims: dict[str, Any], nonce: str) -> None:
        now, mine = time.time(), self._settings.client_id
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        expires, issued = claims.get("exp"), claims.get("iat")
        if claims.get("iss") != self._settings.issuer:
            raise _distrusted("its token names another issuer")
        if mine not in audiences or (claims.get("azp", mine) != mine) or (len(audiences) > 1 and "azp" not in claims):
            raise _distrusted("its token is for another client")
        if not isinstance(expires, (int, float)) or expires < now - LEEWAY_S:
            raise _distrusted("its token has expired")
        if not isinstance(issued, (int, float)) or issued > now + LEEWAY_S:
            raise _distrusted("its token is from the future")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise _distrusted("its token answers another login")
        if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255:
            raise _distrusted("its token names nobody")

    async def _keys(self, not_older_s: float) -> Any:
        from joserfc.jwk import KeySet

        return KeySet.import_key_set(await self._cache(await self._endpoint("jwks_uri"), not_older_s))  # type: ignore[arg-type]

    async def _metadata(self) -> dict[str, Any]:
        issuer = self._settings.issuer
        found = await self._cache(issuer.rstrip("/") + "/.well-known/openid-configuration", CACHED_S)
        if found.get("issuer") != issuer:
            raise ProviderUnavailable("The OpenID provider calls itself otherwise than the settings' issuer.")
        return found

    async def _endpoint(self, name: str) -> str:
        url = (await self._metadata()).get(name)
        if not isinstance(url, str) or not _is_safe(url):
            raise ProviderUnavailable(f"The OpenID provider has no {name} that can be used.")
        return url

    async def _cache(self, url: str, not_older_s: float) -> dict[str, Any]:
        read_at, value = self._cached.get(url, (float("-inf"), {}))
        if time.monotonic() - read_at > not_older_s:
            value = await self._fetch("GET", url)
            self._cached[url] = (time.monotonic(), value)
        return value

    async def _fetch(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.request(method, url, allow_redirects=False, **more) as reply:
                raw = await reply.content.read(LARGEST + 1)
                while len(raw) <= LARGEST and (more_raw := await reply.content.read(LARGEST)):
                    raw += more_raw
                status = reply.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnavailable(f"The OpenID provider can't be reached ({type(error).__name__}). Try again.") from None
        if 400 <= status < 500:
            raise _distrusted(f"it refused with status {status}")
        try:
            value = msgspec.json.decode(raw[: LARGEST + 1], type=dict[str, Any]) if status == 200 and len(raw) <= LARGEST else None
        except msgspec.MsgspecError:
            value = None
        if value is None:
            raise ProviderUnavailable("The OpenID provider's answer can't be understood. Try again.")
        return value


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("joserfc") is None:
        raise SetupError("oidc needs a package that isn't installed: pip install 'openhearth[oidc]'.", exit_status=78)


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"))


def _basic(client_id: str, client_secret: str) -> str:
    import base64

    return "Basic " + base64.b64encode(f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}".encode()).decode()


def _distrusted(why: str) -> AuthenticationFailed:
    return AuthenticationFailed(f"The OpenID provider's answer can't be used: {why}. Start the login again.", code="oidc_failed")
