"""Answers that a provider must not be believed for. The provider here is a forger that signs what it is told to."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from openhearth.accounts.people.oidc.provider import Provider, ProviderUnavailable
from openhearth.errors import AuthenticationFailed, SetupError
from openhearth.settings import OidcSettings

NONCE = "n-0123456789"


@dataclass
class Forger:
    """An issuer whose metadata, keys and token can be anything."""

    issuer: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    token: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    user_info: dict[str, Any] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def sign(self, header: dict[str, Any] | None = None, key: Any = None, **claims: Any) -> None:
        now = int(time.time())
        told = {"iss": self.issuer, "aud": "me", "sub": "ada", "iat": now, "exp": now + 300, "nonce": NONCE, **claims}
        kept = {name: value for name, value in told.items() if value is not None}
        self.token = jwt.encode({"alg": "RS256", "kid": "one", **(header or {})}, kept, key or self.key, algorithms=["RS256"])

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/keys", self._keys)
        app.router.add_post("/token", self._token)
        app.router.add_get("/me", self._me)
        return app

    async def _metadata(self, _request: web.Request) -> web.Response:
        places = {
            name: self.issuer + path for name, path in (("token_endpoint", "/token"), ("jwks_uri", "/keys"), ("userinfo_endpoint", "/me"))
        }
        return web.json_response({"issuer": self.issuer, "authorization_endpoint": self.issuer + "/auth", **places, **self.metadata})

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append({**dict(await request.post()), "authorization": request.headers.get("Authorization")})
        return web.json_response({"id_token": self.token, "access_token": "at", "token_type": "Bearer"})

    async def _me(self, _request: web.Request) -> web.Response:
        return web.json_response(self.user_info)


@pytest.fixture
async def forger() -> AsyncIterator[Forger]:
    made = Forger()
    runner = web.AppRunner(made.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.issuer = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def provider(forger: Forger) -> AsyncIterator[Provider]:
    made = Provider(OidcSettings(issuer=forger.issuer, client_id="me"))
    yield made
    await made.close()


async def identify(provider: Provider) -> Any:
    return await provider.identify("code", "verifier", "http://here/callback", NONCE)


async def test_an_honest_token(forger: Forger, provider: Provider) -> None:
    forger.sign(email="ada@example.com", email_verified=True, name="Ada")
    identity = await identify(provider)
    assert (identity.subject, identity.email, identity.name) == (f"{forger.issuer}|ada", "ada@example.com", "Ada")
    assert forger.asked[0]["code_verifier"] == "verifier"
    assert forger.asked[0]["authorization"] is None
    forger.key = RSAKey.generate_key(2048, {"kid": "two"})
    forger.sign({"kid": "two"})
    forger.user_info = {"sub": "ada"}
    provider._cached = {url: (read_at - 61, value) for url, (read_at, value) in provider._cached.items()}
    assert (await identify(provider)).email is None


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "somebody"}, {"aud": None}, {"aud": ["me", "you"]},
        {"aud": ["me", "you"], "azp": "you"}, {"exp": 1}, {"exp": None}, {"exp": "tomorrow"}, {"iat": 2**40}, {"iat": None},
        {"nonce": "another"}, {"nonce": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 300},
    ],
)  # fmt: skip
async def test_wrong_claims(forger: Forger, provider: Provider, claims: dict[str, Any]) -> None:
    forger.sign(**claims)
    with pytest.raises(AuthenticationFailed):
        await identify(provider)


async def test_forged_signatures(forger: Forger, provider: Provider) -> None:
    forger.sign(key=RSAKey.generate_key(2048, {"kid": "one"}))
    with pytest.raises(AuthenticationFailed):
        await identify(provider)
    forger.sign()
    head, body, _signature = forger.token.split(".")
    confused = f"eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9.{body}"
    mac = base64.urlsafe_b64encode(hmac.digest(forger.key.as_pem(private=False), confused.encode(), "sha256")).rstrip(b"=").decode()
    for token in (f"{confused}.{mac}", f"eyJhbGciOiJub25lIn0.{body}.", f"{head}.{body}.", f"{head}.{body}.AAAA", "", "a.b.c", "nonsense"):
        forger.token = token
        with pytest.raises(AuthenticationFailed):
            await identify(provider)


async def test_an_address_that_isnt_verified_doesnt_count(forger: Forger, provider: Provider) -> None:
    for verified in (False, None, "true", 1):
        forger.sign(email="ada@example.com", email_verified=verified)
        assert (await identify(provider)).email is None


async def test_user_info_about_somebody_else(forger: Forger, provider: Provider) -> None:
    forger.sign()
    forger.user_info = {"sub": "eve", "email": "eve@example.com", "email_verified": True}
    with pytest.raises(AuthenticationFailed):
        await identify(provider)
    forger.user_info = {"sub": "ada", "email": "ada@example.com", "email_verified": True}
    assert (await identify(provider)).email == "ada@example.com"


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}, {"jwks_uri": None}, {"token_endpoint": 7}],
)
async def test_metadata_that_cant_be_used(forger: Forger, provider: Provider, metadata: dict[str, Any]) -> None:
    forger.sign()
    forger.metadata = metadata
    with pytest.raises(ProviderUnavailable):
        await identify(provider)


async def test_a_provider_that_is_away() -> None:
    provider = Provider(OidcSettings(issuer="http://127.0.0.1:9", client_id="me"))
    with pytest.raises(ProviderUnavailable):
        await provider.authorization_url("http://here", "s", "n", "c")
    await provider.close()


def test_issuers_must_be_encrypted() -> None:
    with pytest.raises(SetupError):
        Provider(OidcSettings(issuer="http://login.example.com", client_id="me"))
