"""Tokens of an identity provider, made here with the cryptography package: good ones pass, each other one does not."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from lossd.access import tokens as module
from lossd.access import watched_file
from lossd.access.caller import Caller
from lossd.access.tokens import Issuer, Tokens, read_key_set
from lossd.errors import Unauthorized
from tests.api.serving import GOOD, InProcess, lossd

ISSUER = Issuer("https://issuer.example", "lossd", "scope")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())
PRIVATE: dict[str, Any] = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED}
Change = Callable[[dict[str, Any]], object]


def public(private: Any, algorithm: str, kid: str) -> dict[str, Any]:
    """Return a JWK of the public half of a key."""
    family = jwt.get_algorithm_by_name(algorithm)
    jwk = json.loads(type(family).to_jwk(private.public_key()))
    return {**jwk, "kid": kid, "alg": algorithm, "use": "sig"}


def key_set(**keys: dict[str, Any]) -> str:
    return json.dumps(
        {"keys": list(keys.values()) or [public(PRIVATE[name], name, name) for name in PRIVATE]}
    )


def token(algorithm: str = "ES256", *, key: Any = None, kid: str | None = None, **claims: Any) -> bytes:
    now = int(time.time())
    content = {"iss": ISSUER.name, "aud": "lossd", "sub": "trainer", "exp": now + 60, "scope": "evaluate"}
    content = {name: value for name, value in {**content, **claims}.items() if value is not None}
    headers = {"kid": kid or algorithm}
    return jwt.encode(content, key or PRIVATE[algorithm], algorithm, headers=headers).encode()


class Known(Tokens):
    """Takes tokens without the scheme that stands before them in a header."""

    def __call__(self, token: bytes | None, now: float | None = None) -> Caller:
        return super().__call__(b"Bearer " + (token or b""), now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "jwks.json"
    file.write_text(key_set())
    return file


@pytest.fixture
def known(path: Path) -> Known:
    return Known(path, ISSUER)


@pytest.mark.parametrize("algorithm", PRIVATE)
def test_a_token_of_the_issuer_says_who_calls(known: Known, algorithm: str) -> None:
    caller = known(token(algorithm))
    assert (caller.name, caller.scopes) == ("trainer", {"evaluate"})


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("evaluate catalogue openid", {"evaluate", "catalogue"}),
        (["lossd:metrics", "other:evaluate", 1], {"metrics"}),
        ("", set()),
        (None, set()),
        (7, set()),
    ],
)
def test_scopes_are_words_or_a_list_of_the_claim(known: Known, claim: Any, scopes: set[str]) -> None:
    assert known(token(scope=claim)).scopes == scopes


def test_the_claim_with_the_scopes_may_have_another_name(path: Path) -> None:
    known = Known(path, Issuer(ISSUER.name, ISSUER.audience, "roles"))
    assert known(token(roles=["catalogue"])).scopes == {"catalogue"}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1000}, "expired signature"),
        ({"exp": None}, "missing required claim"),
        ({"exp": "soon"}, "decode"),
        ({"nbf": 9999999999}, "immature signature"),
        ({"iss": "https://other.example"}, "invalid issuer"),
        ({"iss": None}, "missing required claim"),
        ({"aud": "other"}, "invalid audience"),
        ({"aud": None}, "missing required claim"),
        ({"sub": None}, "missing required claim"),
        ({"sub": 7}, "invalid subject"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(known: Known, claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unauthorized, match=reason):
        known(token(**claims))


def unsigned() -> bytes:
    head, content, _ = token().split(b".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","kid":"ES256"}').rstrip(b"=")
    return b".".join((head, content, b""))


def signed_with_the_public_key() -> bytes:
    """Return a token whose signature is a HMAC keyed with the public key, which a careless verifier takes."""
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    secret = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"RS256"}').rstrip(b"=")
    signing = head + b"." + token("RS256").split(b".")[1]
    signature = hmac.new(secret, signing, hashlib.sha256).digest()
    return signing + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


def changed() -> bytes:
    head, _, signature = token().split(b".")
    return b".".join((head, token(sub="another").split(b".")[1], signature))


@pytest.mark.parametrize(
    "make",
    [
        unsigned,
        signed_with_the_public_key,
        changed,
        lambda: token(key=OTHER),
        lambda: token("RS256", kid="PS256"),  # another algorithm than its key says
        lambda: token(kid="unknown"),
        lambda: b"",
        lambda: b"a.b.c",
        lambda: b"\xff\xfe.\xff.\xff",
        lambda: token()[:-3],
    ],
)
def test_a_token_that_is_not_signed_by_a_known_key_is_refused(
    known: Known, make: Callable[[], bytes]
) -> None:
    with pytest.raises(Unauthorized, match="expected a"):
        known(make())


def test_a_token_without_the_name_of_its_key_passes_where_there_is_one_key(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(key_set(one=public(EC, "ES256", "one")))
    nameless = jwt.encode(jwt.decode(token(), options={"verify_signature": False}), EC, "ES256").encode()
    assert Known(path, ISSUER)(nameless).name == "trainer"
    path.write_text(key_set())
    with pytest.raises(Unauthorized, match="kid"):
        Known(path, ISSUER)(nameless)


def test_what_was_verified_is_remembered_until_it_expires_or_the_keys_change(
    known: Known, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[bytes] = []
    verify = known._verify
    monkeypatch.setattr(known, "_verify", lambda token, keys: verified.append(token) or verify(token, keys))
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 3)
    first = token()
    for _ in range(3):
        known(first)
    assert verified == [first]
    for number in range(10):
        known(token(sub=f"caller {number}"))
        assert len(known._verified) <= 3
    now = time.time()
    known(first)
    monkeypatch.setattr(module.time, "time", lambda: now + 3600)
    count = len(verified)
    known(first)  # the clock of PyJWT is another, so it still passes there
    assert len(verified) == count + 1
    monkeypatch.undo()
    monkeypatch.setattr(watched_file, "LOOK_SECONDS", 0.0)
    known._file.look_at = 0.0
    path.write_text(key_set(new=public(OTHER, "ES256", "new")))
    with pytest.raises(Unauthorized):
        known(first)
    assert known(token(key=OTHER, kid="new")).name == "trainer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ("[]", "expected a JWK Set"),
        ('{"keys": []}', "expected a JWK Set"),
        ('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', r"got a secret one - at `keys\[0\]`"),
        ('{"keys": [{"kty": "EC", "crv": "P-256", "d": "x"}]}', "got a secret one"),
        ('{"keys": [{"kty": "RSA", "use": "enc"}]}', "expected keys to verify with"),
        ('{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}', r"at `keys\[0\]`"),
        ('{"keys": [{}]}', r"at `keys\[0\]`"),
    ],
)
def test_a_file_that_is_no_set_of_public_keys_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        read_key_set(text.encode())
    assert "c2VjcmV0" not in str(raised.value)


def test_without_the_extra_the_server_says_how_to_install_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jwt", None)
    with pytest.raises(ValueError, match=r"pip install '.\[jwt\]'"):
        Known(path, ISSUER)


def test_through_all_layers(path: Path) -> None:
    service = InProcess(auth="jwt", jwks_file=str(path), jwt_issuer=ISSUER.name, jwt_audience="lossd")

    def status(token: bytes, loss: str = "mse") -> int:
        return service.post(loss, json=GOOD, headers={"authorization": b"Bearer " + token}).status_code

    assert status(token()) == 200
    assert status(token(scope="catalogue")) == 403
    assert status(token(exp=1)) == 401
    assert [line.get("caller") for line in service.log()] == ["trainer", "trainer", None]


def test_a_server_that_cannot_check_tokens_does_not_start(path: Path) -> None:
    variables = {"LOSSD_AUTH": "jwt", "LOSSD_JWT_ISSUER": "x", "LOSSD_JWT_AUDIENCE": "y"}
    result = lossd("serve", LOSSD_JWKS_FILE="/nowhere", **variables)
    assert (result.returncode, result.stdout) == (2, b"")
    assert result.stderr.decode().startswith(
        "lossd serve: LOSSD_JWKS_FILE: /nowhere cannot be read: No such file"
    )
