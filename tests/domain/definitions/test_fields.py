import pytest

from tests.domain.definitions.snippets import in_fields


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("{key: a, type: string, default: x, secret: true, visible_to: customer}", []),
        ("{key: a, type: string, visible_to: organization}", []),
        ("{key: a, type: string, visible_to: embedded, required: true}", []),
        ("{key: a, type: string, visible_to: nobody}", ["1:44 invalid_value [0].visible_to"]),
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
        ("{key: a, type: connection, connection: http/oauth2}", []),
        ("{key: a, type: connection, connection: http/oauth2, default: {token_url: 'https://a.example/'}}", []),
        (
            "{key: a, type: connection, connection: http/bearer, check: {action: http.get, inputs: {url: u}}}",
            [],
        ),
        (
            "{key: a, type: connection, connection: http/bearer, check: {action: log.write, inputs: {message: m}}}",
            ["1:77 invalid_value [0].check.action"],
        ),
        (
            "{key: a, type: connection, connection: http/bearer, check: {action: http.get}}",
            ["1:68 missing_input [0].check"],
        ),
        (
            "{key: a, type: connection, connection: http/bearer, check: {action: http.get, inputs: {url: '{{ x }}'}}}",
            ["1:101 out_of_scope [0].check.inputs.url"],
        ),
        (
            "{key: a, type: string, check: {action: http.get, inputs: {url: u}}}",
            ["1:32 invalid_value [0].check"],
        ),
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
        ("{key: a, type: number, secret: true, collection: list}", ["1:32 invalid_value [0].secret"]),
        ("{key: a, type: string, secret: true, collection: list}", ["1:32 invalid_value [0].secret"]),
        ("{key: a, type: string, collection: list, default: [x, y]}", []),
        ("{key: a, type: number, collection: map, default: {x: 1}}", []),
        ("{key: a, type: number, collection: list, default: [1, x]}", ["1:63 wrong_type [0].default[1]"]),
        ("{key: a, type: number, collection: map, default: {x/y: z}}", ['1:64 wrong_type [0].default["x/y"]']),
        ("{key: a, type: string, collection: set}", ["1:44 invalid_value [0].collection"]),
        *[
            (
                f"{{key: a, type: {kind}, collection: list{more}}}",
                [f"1:{24 + len(kind) + 2} invalid_value [0].collection"],
            )
            for kind, more in (
                ("schedule", ""),
                ("json_form", ", schema: {}"),
                ("object_selection", ""),
                ("field_map", ""),
                ("connection", ", connection: http/bearer"),
                ("html", ", default: x"),
            )
        ],
        ("{key: a, type: date, default: 2026-03-01}", []),
        ("{key: a, type: date, default: 2026-02-30}", ["1:39 invalid_value [0].default"]),
        ("{key: a, type: timestamp, default: 2026-03-01T12:00:00+01:00}", []),
        ("{key: a, type: timestamp, default: 2026-03-01}", ["1:44 invalid_value [0].default"]),
        ("{key: a, type: code, language: xml, default: <a/>}", []),
        ("{key: a, type: code, language: xml, default: <a>}", ["1:54 invalid_value [0].default"]),
        ("{key: a, type: code}", ["1:9 missing [0]"]),
        ("{key: a, type: code, language: python}", ["1:40 invalid_value [0].language"]),
        ("{key: a, type: schedule, default: {type: once}}", []),
        ("{key: a, type: schedule, default: {type: week, days: [monday], at: '03:00'}}", []),
        ("{key: a, type: schedule, default: {type: week}}", ["1:43 invalid_value [0].default"]),
        ("{key: a, type: json_form, schema: {type: object}, ui_schema: {type: Group}, default: {}}", []),
        ("{key: a, type: json_form}", ["1:9 missing [0]"]),
        ("{key: a, type: json_form, schema: {type: objekt}}", ["1:50 invalid_value [0].schema.type"]),
        (
            "{key: a, type: json_form, schema: {$ref: 'https://x.org/a.json'}, default: 5}",
            ['1:50 invalid_value [0].schema["$ref"]'],
        ),
        (
            "{key: a, type: json_form, schema: {properties: {n: {type: number}}}, default: {n: x}}",
            ["1:91 wrong_type [0].default.n"],
        ),
        ("{key: a, type: object_selection, options: [orders]}", []),
        ("{key: a, type: object_selection, default: [{object: orders, fields: [id]}]}", []),
        ("{key: a, type: object_selection, options: [5]}", ["1:52 wrong_type [0].options[0]"]),
        (
            "{key: a, type: object_selection, options: [b], default: [{object: c}]}",
            ["1:75 invalid_value [0].default[0].object"],
        ),
        ("{key: a, type: field_map, options: [sku], default: {sku: Code}}", []),
        ("{key: a, type: field_map, options: [sku], default: {skuu: Code}}", ["1:67 unknown_key [0].default.skuu"]),
        ("{key: a, type: html, default: '<p>Read this'}", []),
        ("{key: a, type: html, description: Read this}", []),
        ("{key: a, type: html}", ["1:9 missing [0]"]),
        ("{key: a, type: html, default: 5}", ["1:39 wrong_type [0].default"]),
        ("{key: a, type: html, default: <div>}", ["1:39 invalid_value [0].default"]),
        ("{key: a, type: html, default: x, required: true}", ["1:42 invalid_value [0].required"]),
        ("{key: a, type: html, default: x, required: false}", []),
    ],
)
def test_field(field: str, expected: list[str]) -> None:
    assert in_fields(field) == expected


def test_field_keys_are_unique_across_pages() -> None:
    again = "{key: a, type: string}\n  - page: Q\n    fields:\n      - {key: a, type: number}"
    assert in_fields(again) == ["4:15 duplicate_field config[1].fields[0].key"]


def test_field_required_follows_its_default() -> None:
    assert in_fields("{key: a, type: string, required: false}", "{key: b, type: string, required: null}") == []


LIVE = "{key: a, type: picklist, options_from: {action: http.get, "
URL = 'inputs: {url: "https://x.org/"}'


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (LIVE + URL + "}}", []),
        (LIVE + URL + ", items: body.data, label: name, value: '[0].id'}}", []),
        (LIVE + 'connection: shop, inputs: {url: "{{ config.host }}/{{ customer.external_id }}"}}}', []),
        (LIVE + 'inputs: {url: "https://x.org/", query: {key: "{{ config.token }}"}}}}', []),
        ("{key: a, type: field_map, options: [x], options_from: {action: http.get, " + URL + "}}", []),
        ("{key: a, type: object_selection, options_from: {action: http.get, " + URL + "}}", []),
        (
            "{key: a, type: string, options_from: {action: http.get, " + URL + "}}",
            ["1:32 invalid_value [0].options_from"],
        ),
        ("{key: a, type: picklist, options_from: {}}", ["1:48 missing [0].options_from"]),
        (
            "{key: a, type: picklist, options_from: {action: http.gett}}",
            ["1:57 unknown_action [0].options_from.action"],
        ),
        (
            "{key: a, type: picklist, options_from: {action: log.write}}",
            ["1:57 invalid_value [0].options_from.action"],
        ),
        ("{key: a, type: picklist, options_from: {action: http.get}}", ["1:48 missing_input [0].options_from"]),
        (LIVE + "inputs: {url: x, q: 1}}}", ["1:84 unknown_input [0].options_from.inputs.q"]),
        (LIVE + URL + ", connection: host}}", ["1:112 invalid_value [0].options_from.connection"]),
        (LIVE + URL + ", connection: none}}", ["1:112 unknown_config_key [0].options_from.connection"]),
        (LIVE + URL + ", lable: x}}", ["1:100 unknown_key [0].options_from.lable"]),
        (LIVE + URL + ", items: 'a..b'}}", ["1:107 bad_expression [0].options_from.items"]),
        (LIVE + 'inputs: {url: "{{ trigger.body.url }}"}}}', ["1:81 out_of_scope [0].options_from.inputs.url"]),
        (LIVE + 'inputs: {url: "{{ config.none }}"}}}', ["1:81 unknown_config_key [0].options_from.inputs.url"]),
        (LIVE + 'inputs: {url: "{{ config.shop.value }}"}}}', ["1:81 secret_not_allowed [0].options_from.inputs.url"]),
        (LIVE + 'inputs: {url: "{{ config.note }}"}}}', ["1:81 unknown_config_key [0].options_from.inputs.url"]),
    ],
)
def test_options_from(field: str, expected: list[str]) -> None:
    others = (
        "{key: shop, type: connection, connection: http/api_key}",
        "{key: host, type: string}",
        "{key: token, type: string, secret: true}",
        "{key: note, type: html, default: x}",
    )
    assert in_fields(field, *others) == expected
