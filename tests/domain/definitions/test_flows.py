import pytest

from tests.domain.definitions.snippets import HEAD, in_flow, problems, shown

DEPLOY = "trigger: {type: deploy}\n"
WEBHOOK = "trigger: {type: webhook}\n"
SYNC = "trigger: {type: webhook, respond: sync}\n"
POLL = "trigger: {type: poll, cron: 0 3 * * *, action: http.get, inputs: {url: x}, "
CRON = "trigger: {type: schedule, cron: 0 3 * * *}\n"


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (DEPLOY, []),
        ("trigger: {type: remove}", []),
        (WEBHOOK, []),
        ("trigger: {type: webhook, security: {api_key: required}}", []),
        ("trigger: {type: webhook, dedupe: {header: x-id}, tags: {a: '{{ trigger.body.id }}'}}", []),
        ("trigger: {type: webhook, dedupe: {body: 'event.id[0]'}}", []),
        ("trigger: {type: webhook, methods: []}", ["1:39 invalid_value trigger.methods"]),
        ("trigger: {type: webhook, respond: sync}", []),
        (
            "trigger: {type: webhook, security: {hmac: {scheme: github, secret: '{{ config.token }}'}}}",
            [],
        ),
        ("trigger: {type: webhook, dedupe: {}}", ["1:38 invalid_value trigger.dedupe"]),
        ("trigger: {type: webhook, dedupe: {header: a, body: b}}", ["1:38 invalid_value trigger.dedupe"]),
        ("trigger: {type: webhook, dedupe: {header: ''}}", ["1:47 invalid_value trigger.dedupe.header"]),
        ("trigger: {type: webhook, dedupe: {body: '{{ x }}'}}", ["1:45 bad_expression trigger.dedupe.body"]),
        ("trigger: {type: flow}", []),
        (POLL + "items: body.orders}", []),
        (POLL + "items: body.orders, id: 'order[0].id', cursor: headers.next}", []),
        (POLL + "items: 'a b'}", ["1:87 bad_expression trigger.items"]),
        (POLL + "items: a, from: nightly}", ["1:14 invalid_value trigger"]),
        (POLL + "items: a}\nconcurrency: {mode: sequential}", ["2:5 invalid_value concurrency"]),
        ("trigger: {type: poll, cron: 0 3 * * *, action: http.gett, items: a}", ["1:52 unknown_action trigger.action"]),
        (CRON, []),
        ("trigger: {type: schedule, cron: 0 3 * * *, time_zone: Europe/Berlin, overlap: allow}", []),
        ("trigger: {type: schedule, from: nightly, catch_up: 1h}", []),
        ("trigger: {type: schedule}", ["1:14 invalid_value trigger"]),
        ("trigger: {type: schedule, from: nightly, cron: 0 3 * * *}", ["1:14 invalid_value trigger"]),
        ("trigger: {type: schedule, from: nigthly}", ["1:37 unknown_config_key trigger.from"]),
        ("trigger: {type: schedule, from: region}", ["1:37 invalid_value trigger.from"]),
        ("trigger: {type: schedule, from: nightly, time_zone: UTC}", ["1:46 invalid_value trigger.time_zone"]),
        ("trigger: {type: schedule, cron: 0 3 * *}", ["1:37 bad_cron trigger.cron"]),
        ("trigger: {type: schedule, cron: 0 0 30 2 *}", ["1:37 bad_cron trigger.cron"]),
        ("trigger: {type: schedule, cron: 0 3 * * *, time_zone: Mars}", ["1:59 bad_time_zone trigger.time_zone"]),
        ("trigger: {type: schedule, cron: 0 3 * * *, catch_up: 0s}", ["1:58 bad_duration trigger.catch_up"]),
        (DEPLOY + "retry: {retries: 3, delay: 60m, max_delay: 24h}", []),
        (CRON + "retry: {retries: 3, delay: 0s}", []),
        (DEPLOY + "retry: {delay: 61m}", ["2:20 bad_duration retry.delay"]),
        (DEPLOY + "retry: {max_delay: 25h}", ["2:24 bad_duration retry.max_delay"]),
        (WEBHOOK + "retry: {retries: 1, unique_by: '{{ trigger.body.id }}'}", []),
        (DEPLOY + "retry: {unique_by: '{{ config.region }}'}", ["2:13 invalid_value retry.unique_by"]),
        (WEBHOOK + "retry: {unique_by: '{{ config.token }}'}", ["2:24 secret_not_allowed retry.unique_by"]),
        (WEBHOOK + "retry: {unique_by: '{{ steps.a.id }}'}", ["2:24 out_of_scope retry.unique_by"]),
        (DEPLOY + "timeout: 24h", []),
        (DEPLOY + "timeout: 25h", ["2:14 bad_duration timeout"]),
        (DEPLOY + "timeout: 0ms", ["2:14 bad_duration timeout"]),
        (WEBHOOK + "concurrency: {mode: parallel}", []),
        (WEBHOOK + "concurrency: {mode: sequential, key: '{{ trigger.body.a }}'}", []),
        (WEBHOOK + "concurrency: {mode: throttled, limit: 5, max_length: 9, when_full: drop_oldest}", []),
        (WEBHOOK + "concurrency: {mode: throttled, limit: 5, on_failure: hold}", []),
        (WEBHOOK + "concurrency: {mode: sequential, when_failed: park, park_for: 2h}", []),
        (WEBHOOK + "concurrency: {mode: throttled, limit: 5, key: '{{ trigger.body.a }}', when_failed: park}", []),
        (WEBHOOK + "concurrency: {mode: sequential, when_failed: go_on}", []),
        (
            WEBHOOK + "concurrency: {mode: throttled, limit: 5, when_failed: park}",
            ["2:59 invalid_value concurrency.when_failed"],
        ),
        (WEBHOOK + "concurrency: {when_failed: park}", ["2:19 invalid_value concurrency.when_failed"]),
        (WEBHOOK + "concurrency: {mode: sequential, park_for: 2h}", ["2:37 invalid_value concurrency.park_for"]),
        (
            WEBHOOK + "concurrency: {mode: sequential, when_failed: park, park_for: 59s}",
            ["2:66 bad_duration concurrency.park_for"],
        ),
        (WEBHOOK + "concurrency: {mode: throttled}", ["2:18 invalid_value concurrency"]),
        (WEBHOOK + "concurrency: {mode: sequential, limit: 5}", ["2:37 invalid_value concurrency.limit"]),
        (WEBHOOK + "concurrency: {mode: sequential, when_full: reject}", ["2:37 invalid_value concurrency.when_full"]),
        (WEBHOOK + "concurrency: {max_length: 5}", ["2:19 invalid_value concurrency.max_length"]),
        (WEBHOOK + "concurrency: {mode: sequential, key: '{{ steps.a }}'}", ["2:42 out_of_scope concurrency.key"]),
        ("trigger: {type: deploy}\nconcurrency: {mode: sequential}", ["2:25 invalid_value concurrency.mode"]),
        (WEBHOOK + "concurrency: {limit: 5}", ["2:19 invalid_value concurrency.limit"]),
        (WEBHOOK + "concurrency: {key: '{{ trigger.body.a }}'}", ["2:19 invalid_value concurrency.key"]),
        (CRON + "concurrency: {mode: parallel}", ["2:5 invalid_value concurrency"]),
        (SYNC + "concurrency: {}", ["2:5 invalid_value concurrency"]),
        (SYNC + "retry: {}", ["2:5 invalid_value retry"]),
    ],
)
def test_flow_head(flow: str, expected: list[str]) -> None:
    assert in_flow(flow) == expected


def test_flow_keys_are_unique() -> None:
    flow = "  - {key: a, trigger: {type: deploy}, steps: []}\n"
    assert shown(problems(HEAD + flow + flow)) == ["13:11 duplicate_flow flows[1].key"]
