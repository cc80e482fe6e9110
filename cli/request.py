"""`flowgraft request GET /v1/…`, also written `flowgraft api GET /v1/…`: any call, with the profile's key."""

from typing import Annotated

import typer

from cli.client import Problem
from cli.given import pairs, read_text
from cli.session import Session, command

root = typer.Typer()


@command(root, "request")
def request(
    session: Session,
    method: Annotated[str, typer.Argument(help="GET, POST, PUT, PATCH or DELETE")],
    path: Annotated[str, typer.Argument(help="/v1/… with its query")],
    data: Annotated[str | None, typer.Option("--data", "-d", help="The body; @file or @- for standard input")] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="name:value; repeated")] = None,
) -> None:
    """Call the API. Without a Content-Type among the headers a body is JSON."""
    if not path.startswith("/"):
        raise typer.BadParameter("The path starts with /, the server's address comes from the profile")
    content = read_text(data[1:]) if data and data.startswith("@") else data
    headers = {"content-type": "application/json"} if content is not None else {}
    headers |= {name.lower(): value for name, value in pairs(header or []).items()}
    body = content.encode() if content is not None else None
    answer = session.api.send(method.upper(), path, content=body, headers=headers)
    if answer.is_error:
        raise Problem(answer)
    if "json" in answer.headers.get("content-type", ""):
        session.out.value(answer.json())
    else:
        session.out.raw(answer.content)
