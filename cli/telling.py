"""Whom monitors, groups and event endpoints tell, from the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.client import Json
from cli.given import pairs, read_text

Headers = Annotated[list[str] | None, typer.Option("--header", help="name:value, of each webhook; repeated")]


@dataclass(frozen=True)
class Targets:
    webhook: Annotated[list[str] | None, typer.Option(help="URL; repeated")] = None
    email: Annotated[list[str] | None, typer.Option(help="Address; repeated")] = None
    group: Annotated[list[str] | None, typer.Option(help="grp_…; repeated")] = None
    header: Headers = None
    template: Annotated[str | None, typer.Option(help="Of the webhooks' payload, or @file: $NAME, $ERROR …")] = None

    def notify(self) -> list[Json]:
        webhooks = [{"webhook": url, **_of_webhooks(self.header, self.template)} for url in self.webhook or []]
        emails = [{"email": address} for address in self.email or []]
        return [*webhooks, *emails, *({"group_id": each} for each in self.group or [])]


@dataclass(frozen=True)
class Members:
    email: Annotated[list[str] | None, typer.Option(help="Address; repeated")] = None
    webhook: Annotated[list[str] | None, typer.Option(help="URL; repeated")] = None
    header: Headers = None
    template: Annotated[str | None, typer.Option(help="Of the webhooks' payload, or @file: $NAME, $ERROR …")] = None

    def given(self) -> Json:
        webhooks = [{"url": url, **_of_webhooks(self.header, self.template)} for url in self.webhook or []]
        return ({"emails": self.email} if self.email else {}) | ({"webhooks": webhooks} if webhooks else {})


def headers(given: Sequence[str] | None) -> Json:
    return {"headers": pairs(given)} if given else {}


def _of_webhooks(given: Sequence[str] | None, template: str | None) -> dict[str, Any]:
    if template is None:
        return headers(given)
    return headers(given) | {"template": read_text(template[1:]) if template.startswith("@") else template}
