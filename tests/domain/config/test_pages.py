from domain.config import describe
from domain.definitions.model import ConfigPage
from domain.errors import Problem

PAGES = [
    ConfigPage.model_validate(page)
    for page in (
        {
            "page": "Yours",
            "fields": [
                {"key": "region", "type": "string"},
                {"key": "tenant", "type": "string", "visible_to": "embedded"},
            ],
        },
        {"page": "Ours", "fields": [{"key": "rate", "type": "number", "visible_to": "organization"}]},
    )
]


def test_pages_as_customers_see_them() -> None:
    problems = [Problem("#/config/tenant", "missing", "tenant is required")]
    pages = describe(PAGES, {"rate": 5}, problems, for_customer=True)
    assert [(page["name"], [field["key"] for field in page["fields"]]) for page in pages] == [("Yours", ["region"])]
    assert "rate" not in str(pages)
    assert "tenant" not in str(pages)


def test_pages_as_the_organisation_sees_them() -> None:
    pages = describe(PAGES, {"rate": 5}, [])
    assert [field["visible_to"] for page in pages for field in page["fields"]] == [
        "customer",
        "embedded",
        "organization",
    ]
    assert pages[1]["fields"][0]["value"] == 5


def test_pages_say_what_a_client_needs_to_draw_a_field() -> None:
    fields = [
        {"key": "a", "type": "code", "language": "json", "collection": "list"},
        {"key": "b", "type": "json_form", "schema": {"type": "object"}, "ui_schema": {"type": "VerticalLayout"}},
        {"key": "c", "type": "picklist", "options": ["x"], "options_from": {"action": "http.get"}},
        {"key": "d", "type": "html", "default": "<b>Read this</b>"},
    ]
    (page,) = describe([ConfigPage.model_validate({"page": "P", "fields": fields})], {}, [])
    code, form, choice, text = page["fields"]
    assert (code["language"], code["collection"]) == ("json", "list")
    assert (form["schema"], form["ui_schema"]) == ({"type": "object"}, {"type": "VerticalLayout"})
    assert (choice["options"], choice["live_options"]) == (["x"], True)
    assert (text["default"], text["value"], text["required"], text["is_set"]) == (
        "<b>Read this</b>",
        None,
        False,
        False,
    )
