import pytest

from tests.domain.definitions.snippets import HEAD, in_flow, problems

SECRET = "'{{ config.token }}'"


def in_hmac(hmac: str) -> list[str]:
    """The problems of `hmac`; its first character is in column 1."""
    head = "trigger: {type: webhook, security: {hmac: "
    found = in_flow(f"{head}{hmac}}}}}")
    parts = [each.split(" ", 2) for each in found]
    return [
        f"{int(place.split(':')[1]) - 4 - len(head)} {code} {path.removeprefix('trigger.security.hmac')}".strip()
        for place, code, path in parts
    ]


@pytest.mark.parametrize(
    ("hmac", "expected"),
    [
        (f"{{scheme: github, secret: {SECRET}}}", []),
        (f"{{scheme: standard_webhooks, secret: [{SECRET}], tolerance: 10m}}", []),
        (f"{{scheme: stripe, secret: [{SECRET}, '{{{{config.token}}}}'], tolerance: 24h}}", []),
        (f"{{scheme: slack, secret: {SECRET}}}", []),
        (f"{{scheme: generic, secret: {SECRET}}}", []),
        (
            f"{{scheme: generic, secret: {SECRET}, header: x-sig, algorithm: sha512, encoding: base64, prefix: 'v=',"
            " timestamp_header: x-time, tolerance: 1m}",
            [],
        ),
        (f"{{scheme: gitlab, secret: {SECRET}}}", ["10 invalid_value .scheme"]),
        ("{scheme: github}", ["1 missing"]),
        ("{scheme: github, secret: 5}", ["26 wrong_type .secret"]),
        ("{scheme: github, secret: {a: b}}", ["26 wrong_type .secret"]),
        (f"{{scheme: github, secret: [{SECRET}, 5]}}", ["49 wrong_type .secret[1]"]),
        ("{scheme: github, secret: []}", ["26 invalid_value .secret"]),
        (f"{{scheme: github, secret: [{SECRET}, {SECRET}, {SECRET}]}}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: 'swordfish'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: ''}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: 'x{{ config.token }}'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: '{{ config.token.a }}'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: '{{ trigger.body.a }}'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: '{{ config.region }}'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: '{{ config.shop }}'}", ["26 invalid_value .secret"]),
        ("{scheme: github, secret: ['{{ config.tokem }}']}", ["27 unknown_config_key .secret[0]"]),
        ("{scheme: github, secret: '{{ config.token'}", ["26 bad_expression .secret"]),
        (f"{{scheme: github, secret: {SECRET}, header: x-a}}", ["48 invalid_value .header"]),
        (f"{{scheme: stripe, secret: {SECRET}, encoding: hex}}", ["48 invalid_value .encoding"]),
        (f"{{scheme: generic, secret: {SECRET}, algorithm: sha1}}", ["60 invalid_value .algorithm"]),
        (f"{{scheme: generic, secret: {SECRET}, header: 'x a'}}", ["57 invalid_value .header"]),
        (f"{{scheme: generic, secret: {SECRET}, timestamp_header: ''}}", ["67 invalid_value .timestamp_header"]),
        (f"{{scheme: github, secret: {SECRET}, tolerance: 5m}}", ["48 invalid_value .tolerance"]),
        (f"{{scheme: generic, secret: {SECRET}, tolerance: 5m}}", ["49 invalid_value .tolerance"]),
        (f"{{scheme: slack, secret: {SECRET}, tolerance: 0s}}", ["58 bad_duration .tolerance"]),
        (f"{{scheme: slack, secret: {SECRET}, tolerance: 25h}}", ["58 bad_duration .tolerance"]),
        (f"{{scheme: slack, secret: {SECRET}, tolerance: long}}", ["58 bad_duration .tolerance"]),
        (f"{{scheme: github, secret: {SECRET}, sceret: 1}}", ["48 unknown_key .sceret"]),
    ],
)
def test_hmac(hmac: str, expected: list[str]) -> None:
    assert in_hmac(hmac) == expected


def test_secret_that_is_written_down_is_not_repeated() -> None:
    flow = "  - {key: a, trigger: {type: webhook, security: {hmac: {scheme: github, secret: swordfish}}}, steps: []}\n"
    (found,) = problems(HEAD + flow)
    assert "swordfish" not in found.detail
    assert "{{ config.hook_secret }}" in found.detail


def test_key_and_signature_may_both_be_asked_for() -> None:
    assert (
        in_flow(
            f"trigger: {{type: webhook, security: {{api_key: required, hmac: {{scheme: github, secret: {SECRET}}}}}}}"
        )
        == []
    )
