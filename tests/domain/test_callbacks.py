import pytest

from domain.callbacks import Place, parse, sign, token

PLACE = Place("exec_1", 2, "lines[0].ask, or not · ä")


def test_token_says_where_and_is_signed() -> None:
    found = parse(token(PLACE, "secret"))
    assert found == (PLACE, sign("secret", PLACE.path))
    assert found[1] not in (sign("other", PLACE.path), sign("secret", "lines[1].ask"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        "a.b.c.d",
        "a.1.c.d.e",
        "a.-1.Yw.d",
        "a.1.%%%.d",
        "a.1.gA.d",
        "a.1.Yw.ä",
        "a.1234567890.Yw.d",
        "a" * 3000,
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert parse(text) is None
