import base64
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.definitions.model import Hmac
from domain.signatures import SignatureInvalid, Signed, is_standard_secret, secret_keys, standard_headers, verify
from runtime.ids import new_signing_secret

Headers = dict[str, str]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
T = str(int(NOW.timestamp()))
BODY = b'{"id": 42}'
PLAIN = "a-secret-of-the-tests"
STANDARD = "whsec_" + base64.b64encode(bytes(range(24))).decode()

# As the senders' own documentation and libraries print them.
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
VECTORS: dict[str, tuple[str, Headers, bytes, int]] = {
    "standard_webhooks": (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1614265330,
    ),
    "github": (
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        0,
    ),
    "stripe": (  # the form and the time are the documentation's, which shows no secret; signed with openssl
        "whsec_test_secret",
        {
            "Stripe-Signature": "t=1492774577,"
            "v1=10b0a2815816a45e6b874658b928cae03296be10637343405aaf1e8306ddffdc,"
            "v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39"
        },
        b'{"id": "evt_1"}',
        1492774577,
    ),
    "slack": (
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        SLACK_BODY,
        1531420618,
    ),
}


def rule(scheme: str, **options: Any) -> Hmac:
    return Hmac.model_validate({"scheme": scheme, "secret": "{{ config.hook_secret }}", **options})


GENERIC_512 = {
    "header": "x-sig",
    "algorithm": "sha512",
    "encoding": "base64",
    "prefix": "v=",
    "timestamp_header": "x-t",
}
RULES = {
    "standard_webhooks": rule("standard_webhooks"),
    "github": rule("github"),
    "stripe": rule("stripe"),
    "slack": rule("slack"),
    "generic": rule("generic"),
    "generic, all options": rule("generic", **GENERIC_512),
}
SIGNATURE_HEADERS = {
    "standard_webhooks": "webhook-signature",
    "github": "x-hub-signature-256",
    "stripe": "stripe-signature",
    "slack": "x-slack-signature",
    "generic": "x-signature",
    "generic, all options": "x-sig",
}
TIMED = sorted(set(RULES) - {"github", "generic"})


def secret_for(name: str) -> str:
    return STANDARD if name == "standard_webhooks" else PLAIN


def mac(secret: str, text: str, body: bytes, algorithm: str = "sha256") -> bytes:
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    return hmac.new(key, text.encode() + body, algorithm).digest()


def signed(name: str, body: bytes = BODY, at: str = T, secret: str | None = None) -> Headers:
    """As a sender of that scheme would sign it."""
    key = secret_for(name) if secret is None else secret
    if name == "standard_webhooks":
        signature = base64.b64encode(mac(key, f"msg_1.{at}.", body)).decode()
        return {"webhook-id": "msg_1", "webhook-timestamp": at, "webhook-signature": f"v1,{signature}"}
    if name == "stripe":
        return {"stripe-signature": f"t={at},v1={mac(key, f'{at}.', body).hex()}"}
    if name == "slack":
        signature = mac(key, f"v0:{at}:", body).hex()
        return {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={signature}"}
    if name == "generic, all options":
        signature = base64.b64encode(mac(key, f"{at}.", body, "sha512")).decode()
        return {"x-sig": f"v={signature}", "x-t": at}
    prefix = "sha256=" if name == "github" else ""
    return {SIGNATURE_HEADERS[name]: prefix + mac(key, "", body).hex()}


def passes(
    name: str,
    headers: Headers | list[tuple[str, str]],
    body: bytes = BODY,
    secrets: list[str] | None = None,
    now: datetime = NOW,
) -> bool:
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    try:
        verify(RULES[name], [secret_for(name)] if secrets is None else secrets, Signed(pairs, body), now)
    except SignatureInvalid:
        return False
    return True


def flipped(text: str, position: int, bit: int) -> str:
    changed = bytearray(text.encode("latin-1"))
    changed[position % len(changed)] ^= 1 << bit
    return changed.decode("latin-1")


@pytest.mark.parametrize("scheme", VECTORS)
def test_what_the_senders_document_is_accepted(scheme: str) -> None:
    secret, headers, body, at = VECTORS[scheme]
    now = datetime.fromtimestamp(at, UTC)
    verify(rule(scheme), [secret], Signed(list(headers.items()), body), now)
    with pytest.raises(SignatureInvalid):
        verify(rule(scheme), [secret], Signed(list(headers.items()), body + b" "), now)


@pytest.mark.parametrize("name", RULES)
def test_what_is_signed_passes_and_nothing_else_of_it(name: str) -> None:
    headers = signed(name)
    assert passes(name, headers)
    assert passes(name, {each.upper(): value for each, value in headers.items()})
    assert not passes(name, headers, body=b"")
    assert not passes(name, {})
    for missing in headers:
        assert not passes(name, {each: value for each, value in headers.items() if each != missing})


@pytest.mark.parametrize("name", RULES)
def test_reason_tells_no_secret(name: str) -> None:
    for headers in ({}, signed(name, b"other"), signed(name, at="soon")):
        with pytest.raises(SignatureInvalid) as caught:
            verify(RULES[name], [secret_for(name)], Signed(list(headers.items()), b"x"), NOW)
        assert caught.value.reason
        assert secret_for(name) not in caught.value.reason


@pytest.mark.parametrize("name", RULES)
def test_repeated_headers_are_refused(name: str) -> None:
    headers = list(signed(name).items())
    for repeated in headers:
        assert not passes(name, [*headers, repeated])
        assert not passes(name, [(repeated[0], "x"), *headers])


@pytest.mark.parametrize("name", RULES)
@given(data=st.data())
def test_any_flipped_bit_is_refused(name: str, data: st.DataObject) -> None:
    headers = signed(name)
    bit = data.draw(st.integers(0, 7))
    header = data.draw(st.sampled_from([*headers, "the body"]))
    if header == "the body":
        body = flipped(BODY.decode(), data.draw(st.integers(0, len(BODY) - 1)), bit).encode("latin-1")
        assert not passes(name, headers, body)
    else:
        changed = flipped(headers[header], data.draw(st.integers(0, len(headers[header]) - 1)), bit)
        assert not passes(name, headers | {header: changed})


@pytest.mark.parametrize("name", RULES)
@given(text=st.text(max_size=120))
def test_any_other_signature_is_refused_and_never_crashes(name: str, text: str) -> None:
    for header in signed(name):
        assert not passes(name, signed(name) | {header: text})


@pytest.mark.parametrize("name", RULES)
@given(other=st.text(min_size=1, max_size=80), body=st.binary(max_size=100))
def test_another_secret_is_refused(name: str, other: str, body: bytes) -> None:
    headers = signed(name, body)
    assert passes(name, headers, body)
    if other != secret_for(name):
        assert not passes(name, headers, body, [other])


@pytest.mark.parametrize("name", TIMED)
@given(seconds=st.integers(-(10**9), 10**8))
def test_only_what_was_signed_within_five_minutes_passes(name: str, seconds: int) -> None:
    headers = signed(name, at=str(int(T) + seconds))
    assert passes(name, headers) == (abs(seconds) <= 300)


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("seconds", [-301, -300, 300, 301])
def test_tolerance_has_sharp_ends(name: str, seconds: int) -> None:
    assert passes(name, signed(name), now=NOW + timedelta(seconds=seconds)) == (abs(seconds) == 300)


@pytest.mark.parametrize("scheme", ["standard_webhooks", "stripe", "slack"])
def test_tolerance_can_be_chosen(scheme: str) -> None:
    pairs = list(signed(scheme, at=str(int(T) - 900)).items())
    verify(rule(scheme, tolerance="15m"), [secret_for(scheme)], Signed(pairs, BODY), NOW)
    with pytest.raises(SignatureInvalid):
        verify(
            rule(scheme, tolerance="1m"),
            [secret_for(scheme)],
            Signed(list(signed(scheme).items()), BODY),
            NOW + timedelta(seconds=61),
        )


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize(
    "at",
    [
        "",
        "0",
        T[:9],
        T + "0",
        f"0{T}",
        f" {T}",
        f"{T} ",
        f"+{T}",
        f"{T[:3]}_{T[3:]}",
        f"{T}.0",
        "1.7e9000000",
        "soon",
        "１７７２３６６４００",
    ],
)
def test_odd_times_are_refused_however_well_signed(name: str, at: str) -> None:
    assert not passes(name, signed(name, at=at))


@pytest.mark.parametrize("name", RULES)
def test_both_secrets_pass_while_one_is_being_changed(name: str) -> None:
    old, new = secret_for(name), STANDARD[:-1] + "8" if name == "standard_webhooks" else "new-secret"
    for secret in (old, new):
        assert passes(name, signed(name, secret=secret), secrets=[new, old])
    assert not passes(name, signed(name, secret=old), secrets=[new])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_without_a_secret_nothing_passes(name: str, secrets: list[str]) -> None:
    assert not passes(name, signed(name), secrets=secrets)
    guessed = "whsec_" if name == "standard_webhooks" else ""
    assert not passes(name, signed(name, secret=guessed), secrets=secrets)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_not base64!", "whsec_abc", "whsec_AAA", "ä"])
def test_standard_secret_that_is_no_base64_is_none(secret: str) -> None:
    assert not passes("standard_webhooks", signed("standard_webhooks"), secrets=[secret])
    assert passes("standard_webhooks", signed("standard_webhooks"), secrets=[secret, STANDARD])


GOOD = signed("standard_webhooks")["webhook-signature"]
OTHER = "v1," + "A" * 43 + "="


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (GOOD, True),
        (f"{OTHER} {GOOD}", True),
        (f"v1a,{'B' * 86}== {GOOD} {OTHER}", True),
        (f"v2,{GOOD[3:]} {GOOD}", True),
        (" ".join([OTHER] * 9 + [GOOD]), True),
        (" ".join([OTHER] * 10 + [GOOD]), False),
        (" ".join([OTHER] * 500 + [GOOD]), False),
        (f"v2,{GOOD[3:]}", False),
        (f"v1a,{GOOD[3:]}", False),
        (GOOD[3:], False),
        (f"v1 {GOOD[3:]}", False),
        (f"v1={GOOD[3:]}", False),
        (f"V1,{GOOD[3:]}", False),
        (f" {GOOD}", False),
        (f"{GOOD} ", False),
        (f"{OTHER}  {GOOD}", False),
        (f"{OTHER},{GOOD}", False),
        (f"{OTHER}\t{GOOD}", False),
        (f"v1,{{}} {GOOD}", False),
        (GOOD.rstrip("="), False),
        (GOOD + "=", False),
        (GOOD[:-2] + chr(ord(GOOD[-2]) + 1) + "=", False),  # the same bytes, spelt with other spare bits
        (GOOD.replace("+", "-").replace("/", "_") + "-", False),
        ("v1," + mac(STANDARD, f"msg_1.{T}.", BODY).hex(), False),
        ("", False),
    ],
)
def test_lists_of_standard_signatures(header: str, expected: bool) -> None:
    assert passes("standard_webhooks", signed("standard_webhooks") | {"webhook-signature": header}) == expected


@pytest.mark.parametrize("message", ["", "a b", "a\n", "ä", "m" * 201])
def test_message_ids_that_are_none_are_refused(message: str) -> None:
    signature = base64.b64encode(mac(STANDARD, f"{message}.{T}.", BODY)).decode()
    headers = {"webhook-id": message, "webhook-timestamp": T, "webhook-signature": f"v1,{signature}"}
    assert not passes("standard_webhooks", headers)


HEX = mac(PLAIN, f"{T}.", BODY).hex()
NOT = "0" * 64


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"t={T},v1={HEX}", True),
        (f"v1={HEX},t={T}", True),
        (f"t={T},v1={NOT},v1={HEX},v0={NOT}", True),
        (",".join([f"t={T}"] + [f"v1={NOT}"] * 9 + [f"v1={HEX}"]), True),
        (",".join([f"t={T}"] + [f"v1={NOT}"] * 10 + [f"v1={HEX}"]), False),
        (f"t={T},t={T},v1={HEX}", False),
        (f"t={T},v0={HEX}", False),
        (f"v1={HEX}", False),
        (f"t={T}", False),
        (f"t={T}, v1={HEX}", False),
        (f"t={T};v1={HEX}", False),
        (f"t={T},v1={HEX},", False),
        (f"t={T},v1={HEX},junk", False),
        (f"t={T},v1={HEX.upper()}", False),
        (f"t={T},v1={HEX[:-1]}", False),
        (f"t={T},v1=", False),
        (f"T={T},v1={HEX}", False),
        ("", False),
    ],
)
def test_lists_of_stripe_signatures(header: str, expected: bool) -> None:
    assert passes("stripe", {"stripe-signature": header}) == expected


@pytest.mark.parametrize("name", ["github", "slack", "generic", "generic, all options"])
def test_one_signature_is_one(name: str) -> None:
    headers, header = signed(name), SIGNATURE_HEADERS[name]
    good = headers[header]
    prefix = good[: good.index("=") + 1] if "=" in good[:8] else ""
    odd = [
        good.upper(),
        f" {good}",
        f"{good} ",
        f"{good},{good}",
        f"{good}\n",
        good[:-1],
        prefix,
        f"{prefix}{prefix}",
        "x=" + good,
    ]
    assert [text for text in odd if passes(name, headers | {header: text})] == []


def test_keys_of_the_secrets() -> None:
    assert secret_keys(rule("github")) == ["hook_secret"]
    assert secret_keys(rule("github", secret=["{{ config.new }}", "{{config.old}}"])) == ["new", "old"]


# Our own messages


def test_own_signature_is_that_of_the_standard() -> None:
    """The example of the specification."""
    secret, headers, body, seconds = VECTORS["standard_webhooks"]
    made = standard_headers([secret], headers["webhook-id"], datetime.fromtimestamp(seconds, UTC), body)
    assert dict(made) == headers


def test_own_signature_is_verified_with_either_secret() -> None:
    old, new = new_signing_secret(), new_signing_secret()
    headers = standard_headers([new, old], "dlv_1", NOW, b"{}")
    rule = Hmac(scheme="standard_webhooks", secret="{{ config.x }}")
    for secret in (old, new):
        verify(rule, [secret], Signed(headers, b"{}"), NOW)
    with pytest.raises(SignatureInvalid):
        verify(rule, [new_signing_secret()], Signed(headers, b"{}"), NOW)


@pytest.mark.parametrize(
    ("secret", "usable"),
    [
        pytest.param(new_signing_secret(), True, id="new"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("whsec_c2hvcnQ=", False),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", False),
        ("whsec_***", False),
        (f"whsec_{'A' * 100}", False),
    ],
)
def test_own_secret_is_long_and_well_formed(secret: str, usable: bool) -> None:
    assert is_standard_secret(secret) is usable
