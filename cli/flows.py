"""`flowgraft flows`: the flows of an instance, their tests and their callers' keys."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import at
from cli.given import Overlap, pairs, read_text, rotation
from cli.listening import PRISMATICS, listen
from cli.logs import COLUMNS as LOG_COLUMNS
from cli.session import Paging, Session, command
from cli.watching import LogTail, ensure_succeeded, finish_execution, follow_execution

COLUMNS = "id key name trigger webhook_url last_execution.status in_failed_state"
FIELDS = (
    "id key name instance_id trigger webhook_url previous_url_until security.api_key security.hmac schedule next_runs "
    "queue last_execution.id last_execution.status in_failed_state active created_at updated_at"
)
KEY_COLUMNS = "id name created_at"
QUEUE_COLUMNS = "execution_id queued_at attempt replay_of tags"
QUEUE_FIELDS = "id key queue.mode queue.limit queue.waiting queue.running queue.oldest_waiting_at queue.paused"

app = typer.Typer(no_args_is_help=True, help="The flows of instances.")
keys = typer.Typer(no_args_is_help=True, help="Keys for the callers of a flow's webhook.")
app.add_typer(keys, name="keys")
queue = typer.Typer(no_args_is_help=True, help="What waits for a slot of a sequential or throttled flow.")
app.add_typer(queue, name="queue")

FlowId = Annotated[str, typer.Argument(metavar="ID", help="flow_…")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="key_…")]


@command(app, "list")
def list_(
    session: Session,
    paging: Paging,
    argument: Annotated[str | None, typer.Argument(metavar="INSTANCE_ID", help="inst_…")] = None,
    instance: Annotated[str | None, typer.Option("--instance", "-i", help="The same as an option")] = None,
) -> None:
    """List an instance's flows, in definition order."""
    if not (instance_id := instance or argument):
        raise typer.BadParameter("Of which instance? flowgraft flows list --instance inst_…")
    session.listed(at("instances", instance_id, "flows"), COLUMNS, paging)


@command(app, "get")
def get(session: Session, flow_id: FlowId) -> None:
    """Show a flow."""
    session.out.item(session.api.get(at("flows", flow_id)), FIELDS)


@command(app, "test")
def start_test(
    session: Session,
    flow_id: FlowId,
    payload: Annotated[
        str | None, typer.Option("--payload", "-p", help="The body: a file; - is standard input")
    ] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="name:value; repeated")] = None,
    content_type: Annotated[str | None, typer.Option("--content-type", "-c", help="Default: application/json")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 4 if it failed")] = False,
    tail: Annotated[bool, typer.Option("--tail", "-t", help="Wait, and print its log lines")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most")] = None,
) -> None:
    """Execute a flow once, also while the instance is paused. Without a payload the stored one is sent."""
    body = _request(payload, header or [], content_type)
    started = session.api.post(at("flows", flow_id, "test"), body)
    execution_id = started["execution_id"]
    if tail:
        _tail(session, execution_id, timeout)
    elif wait:
        finish_execution(session, execution_id, timeout)
    else:
        session.out.item(started, "execution_id url")


@command(app, "listen")
def listen_(
    session: Session,
    flow_id: FlowId,
    file: Annotated[Path, typer.Option("--file", "-f", help="For its body")] = Path("payload"),
    timeout: Annotated[float, typer.Option(help="Seconds to listen at most")] = PRISMATICS,
) -> None:
    """Wait for the next real delivery and keep it: its body in a file, the rest in FILE.headers.json."""
    listen(session, flow_id, file, timeout)


@command(app, "rotate-url")
def rotate_url(session: Session, flow_id: FlowId, overlap: Overlap = None) -> None:
    """Give the flow another webhook URL; the old one is refused at once, or after the overlap."""
    session.out.item(session.api.post(at("flows", flow_id, "rotate_url"), rotation(overlap)), FIELDS)


@command(queue, "list")
def list_queue(session: Session, flow_id: FlowId, paging: Paging) -> None:
    """List what waits, in its order."""
    session.listed(at("flows", flow_id, "queue"), QUEUE_COLUMNS, paging)


@command(queue, "pause")
def pause_queue(session: Session, flow_id: FlowId) -> None:
    """Let nothing begin that waits; deliveries are accepted, what runs goes on."""
    session.out.item(session.api.post(at("flows", flow_id, "queue", "pause"), {}), QUEUE_FIELDS)


@command(queue, "resume")
def resume_queue(session: Session, flow_id: FlowId) -> None:
    """Go on with what waits, in its order."""
    session.out.item(session.api.post(at("flows", flow_id, "queue", "resume"), {}), QUEUE_FIELDS)


@command(queue, "clear")
def clear_queue(session: Session, flow_id: FlowId) -> None:
    """Cancel what waits; what runs goes on."""
    session.out.item(session.api.post(at("flows", flow_id, "queue", "clear"), {}), "canceled")


@command(keys, "list")
def list_keys(session: Session, flow_id: FlowId, paging: Paging) -> None:
    """List a flow's keys, newest first."""
    session.listed(at("flows", flow_id, "api_keys"), KEY_COLUMNS, paging)


@command(keys, "create")
def create_key(
    session: Session, flow_id: FlowId, name: Annotated[str | None, typer.Option("--name", "-n", help="Whose")] = None
) -> None:
    """Create a key. It is shown this once; callers send it as the header Api-Key."""
    session.out.item(session.api.post(at("flows", flow_id, "api_keys"), {"name": name}), "id name key")


@command(keys, "delete")
def delete_key(session: Session, flow_id: FlowId, key_id: KeyId) -> None:
    """Delete a key: callers that send it are refused from now on."""
    session.api.delete(at("flows", flow_id, "api_keys", key_id))
    session.out.talk(f"{key_id} is deleted.")


def _request(payload: str | None, headers: list[str], content_type: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if payload is not None:
        body["body"] = _body(read_text(payload), content_type)
    if headers:
        body["headers"] = pairs(headers)
    if content_type is not None:
        body["content_type"] = content_type
    return body


def _body(text: str, content_type: str | None) -> Any:
    """JSON unless another type is named; text then."""
    media = (content_type or "application/json").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"The payload is not JSON ({error}); name another --content-type") from error


def _tail(session: Session, execution_id: str, timeout: float | None) -> None:
    lines = LogTail(session, at("executions", execution_id, "logs"), LOG_COLUMNS, {}, limit=100)
    execution = follow_execution(session, execution_id, timeout, lines.look)
    lines.look()
    ensure_succeeded(execution)
