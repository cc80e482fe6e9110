import pytest

from tests.domain.definitions.snippets import in_fields


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("{key: a, type: string, default: x, secret: true, visible_to: customer}", []),
        ("{key: a, type: string, visible_to: organization}", ["1:32 not_supported_yet [0].visible_to"]),
        ("{key: a, type: number, default: 1.5}", []),
        ("{key: a, type: boolean, default: false}", []),
        ("{key: a, type: picklist, options: [eu, 1, true], default: 1}", []),
        ("{key: a, type: schedule, default: {cron: 0 3 * * *, time_zone: Europe/Berlin}}", []),
        ("{key: a, type: schedule, default: {cron: null}}", []),
        ("{key: a, type: connection, connection: http/bearer, hosts: [api.example.com]}", []),
        ("{key: a, type: string, default: 5}", ["1:41 wrong_type [0].default"]),
        ("{key: a, type: number, default: '5'}", ["1:41 wrong_type [0].default"]),
        ("{key: a, type: number, default: true}", ["1:41 wrong_type [0].default"]),
        ("{key: a, type: boolean, default: yes}", ["1:42 wrong_type [0].default"]),
        ("{key: a, type: picklist}", ["1:9 missing [0]"]),
        ("{key: a, type: picklist, options: []}", ["1:9 missing [0]"]),
        ("{key: a, type: picklist, options: [a, b, a]}", ["1:50 invalid_value [0].options[2]"]),
        ("{key: a, type: picklist, options: [1, true], default: 2}", ["1:63 invalid_value [0].default"]),
        ("{key: a, type: schedule, default: {cron: x}}", ["1:43 invalid_value [0].default"]),
        ("{key: a, type: schedule, default: 0 3 * * *}", ["1:43 wrong_type [0].default"]),
        ("{key: a, type: connection}", ["1:9 missing [0]"]),
        ("{key: a, type: connection, connection: http/baerer}", ["1:48 invalid_value [0].connection"]),
        ("{key: a, type: connection, connection: http/oauth2}", ["1:48 not_supported_yet [0].connection"]),
        (
            "{key: a, type: connection, connection: http/bearer, default: {token: 5}}",
            ["1:78 wrong_type [0].default.token"],
        ),
        ("{key: a, type: connection, connection: http/bearer, hosts: []}", ["1:68 invalid_value [0].hosts"]),
        (
            "{key: a, type: connection, connection: http/bearer, hosts: ['https://x.org/']}",
            ["1:69 invalid_value [0].hosts[0]"],
        ),
        ("{key: a, type: string, connection: http/bearer}", ["1:32 invalid_value [0].connection"]),
        ("{key: a, type: string, options: [a]}", ["1:32 invalid_value [0].options"]),
        ("{key: a, type: string, language: json}", ["1:32 invalid_value [0].language"]),
        ("{key: a, type: string, schema: {}}", ["1:32 invalid_value [0].schema"]),
        ("{key: a, type: number, secret: true}", ["1:32 invalid_value [0].secret"]),
        ("{key: a, type: string, collection: list}", ["1:32 not_supported_yet [0].collection"]),
        ("{key: a, type: picklist, options_from: {action: x.y}}", ["1:34 not_supported_yet [0].options_from"]),
        *[
            (f"{{key: a, type: {kind}}}", ["1:24 not_supported_yet [0].type"])
            for kind in ("date", "timestamp", "code", "json_form", "object_selection", "field_map", "html")
        ],
    ],
)
def test_field(field: str, expected: list[str]) -> None:
    assert in_fields(field) == expected


def test_field_keys_are_unique_across_pages() -> None:
    again = "{key: a, type: string}\n  - page: Q\n    fields:\n      - {key: a, type: number}"
    assert in_fields(again) == ["4:15 duplicate_field config[1].fields[0].key"]


def test_field_required_follows_its_default() -> None:
    assert in_fields("{key: a, type: string, required: false}", "{key: b, type: string, required: null}") == []
