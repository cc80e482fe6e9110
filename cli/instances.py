"""`flowgraft instances`: one customer's integration, from creation to deletion."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import typer

from cli.client import at
from cli.given import Overlap, read_object, rotation, values
from cli.session import Flag, Many, Paging, Session, Text, command
from cli.views import query_of
from cli.watching import finish_job, follow_job

COLUMNS = (
    "id name customer.name integration.name version.number config_state deployed enabled needs_deploy in_failed_state"
)
FIELDS = (
    "id name description labels customer.name customer.id integration.name integration.id version.number version.id "
    "latest_version.number new_version_available config_state deployed deployed_version deployed_at enabled pause_mode "
    "pause_note held_count drain_job_id suspended suspension_note needs_deploy in_failed_state connection_error "
    "last_execution_at log_level step_outputs_disabled endpoint.mode endpoint.url endpoint.previous_url_until "
    "state created_at updated_at"
)

app = typer.Typer(no_args_is_help=True, help="Instances: an integration at a customer.")

InstanceId = Annotated[str, typer.Argument(metavar="ID", help="inst_…")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most")]


@dataclass(frozen=True)
class Filters:
    q: Text = None
    description: Text = None
    customer_id: Many = None
    integration_id: Many = None
    version_id: Many = None
    label: Many = None
    enabled: Flag = None
    config_state: Many = None
    needs_deploy: Flag = None
    in_failed_state: Flag = None
    suspended: Flag = None
    state: Many = None
    visible_to_customer: Flag = None
    sort: Annotated[str | None, typer.Option(help="name, -updated_at, customer, integration, version …")] = None


@dataclass(frozen=True)
class Fields:
    description: Annotated[str | None, typer.Option("--description", "-d")] = None
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="Repeated: all of them")] = None
    version_id: Annotated[str | None, typer.Option("--version-id", "-v", help="ver_…")] = None

    def given(self, **more: Any) -> dict[str, Any]:
        """What was said; the rest stays as it is."""
        said = {"description": self.description, "labels": self.label or None, "version_id": self.version_id}
        return {name: value for name, value in (said | more).items() if value is not None}


@command(app, "list")
def list_(
    session: Session,
    filters: Filters,
    paging: Paging,
    view: Annotated[str | None, typer.Option(help="The name of a saved view; other options beat its filters")] = None,
) -> None:
    """List instances of all customers, newest first."""
    saved = query_of(session, "instances", view) if view else {}
    given = asdict(filters)
    wanted: dict[str, Any] = saved | {name: value for name, value in given.items() if value is not None}
    session.listed(at("instances"), COLUMNS, paging, **wanted)


@command(app, "get")
def get(session: Session, instance_id: InstanceId) -> None:
    """Show an instance."""
    session.out.item(session.api.get(at("instances", instance_id)), FIELDS)


@command(app, "create")
def create(
    session: Session,
    customer_id: Annotated[str, typer.Option("--customer-id", "-c", help="cust_…")],
    integration_id: Annotated[str, typer.Option("--integration-id", "-i", help="intg_…")],
    name: Annotated[str, typer.Option("--name", "-n")],
    more: Fields,
    config: Annotated[list[str] | None, typer.Option(help="key=text, key:=json or key=@file; repeated")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", help="The configuration as JSON or YAML")] = None,
) -> None:
    """Create an instance. It runs once it is deployed."""
    wanted = (read_object(file) if file else {}) | values(config or [])
    body = more.given(customer_id=customer_id, integration_id=integration_id, name=name, config=wanted)
    session.out.item(session.api.post(at("instances"), body), FIELDS)


@command(app, "update")
def update(
    session: Session,
    instance_id: InstanceId,
    more: Fields,
    name: Annotated[str | None, typer.Option("--name", "-n")] = None,
    log_level: Annotated[str | None, typer.Option(help="The least severity that is kept, from trace to none")] = None,
    step_outputs: Annotated[
        bool | None, typer.Option("--step-outputs/--no-step-outputs", help="Kept when an execution has ended")
    ] = None,
) -> None:
    """Change what is given. Labels are replaced; another version takes effect at the next deploy."""
    disabled = None if step_outputs is None else not step_outputs
    body = more.given(name=name, log_level=log_level, step_outputs_disabled=disabled)
    session.out.item(session.api.patch(at("instances", instance_id), body), FIELDS)


@command(app, "deploy")
def deploy(session: Session, instance_id: InstanceId, wait: Wait = False, timeout: Timeout = None) -> None:
    """Make the chosen version and configuration current. With --wait also its deploy-trigger flows have ended."""
    answer = session.api.call("POST", at("instances", instance_id, "deploy"))
    made: dict[str, Any] = answer.json()
    if answer.status_code == 202 and wait:
        finish_job(session, made["id"], timeout)
    elif answer.status_code == 202:
        session.out.talk("It takes longer; this is the job that does it.")
        session.out.item(made, "id state stage stages")
    else:
        job = follow_job(session, made["job_id"], timeout) if wait else session.api.get(at("jobs", made["job_id"]))
        session.out.talk(" → ".join(each["stage"] for each in job["stages"]))
        if wait:
            made |= {"deploy_executions": (job["result"] or made)["deploy_executions"]}
        session.out.item(made, "deployment_id version webhook_urls deploy_executions job_id")


@command(app, "pause")
def pause(
    session: Session,
    instance_id: InstanceId,
    mode: Annotated[
        Literal["drop", "hold"] | None, typer.Option(help="Deliveries are refused (default), or kept for later")
    ] = None,
    hold: Annotated[bool, typer.Option("--hold", help="The same as --mode hold")] = False,
    note: Annotated[str | None, typer.Option(help="Why")] = None,
) -> None:
    """Stop schedules, and refuse or hold webhooks. A paused instance is only given another mode."""
    body = _given(mode="hold" if hold else mode, note=note)
    session.out.item(session.api.post(at("instances", instance_id, "pause"), body), FIELDS)


@command(app, "unpause")
def unpause(
    session: Session,
    instance_id: InstanceId,
    keep: Annotated[Literal["all", "latest", "none"] | None, typer.Option(help="Of what was held")] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", "--rate-per-second", help="Executions a second that start of it")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until all that was held has started")] = False,
    timeout: Timeout = None,
) -> None:
    """Go on after a pause. What was held starts in its order; what comes in waits behind it."""
    drain = _given(keep=keep, rate_per_second=rate)
    going = session.api.post(at("instances", instance_id, "unpause"), {"drain": drain} if drain else {})
    if wait and going["drain_job_id"]:
        follow_job(session, going["drain_job_id"], timeout)
        going = session.api.get(at("instances", instance_id))
    session.out.item(going, FIELDS)


@command(app, "suspend")
def suspend(
    session: Session, instance_id: InstanceId, note: Annotated[str | None, typer.Option(help="Why")] = None
) -> None:
    """Let nothing begin: webhooks, schedules, tests, replays, deploys. For operators; a pause is left as it is."""
    session.out.item(session.api.post(at("instances", instance_id, "suspend"), _given(note=note)), FIELDS)


@command(app, "resume")
def resume(session: Session, instance_id: InstanceId) -> None:
    """Go on after a suspension."""
    session.out.item(session.api.post(at("instances", instance_id, "resume")), FIELDS)


@command(app, "delete")
def delete(
    session: Session,
    instance_id: InstanceId,
    confirm_name: Annotated[str, typer.Option(help="Its exact name")],
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Delete an instance with its executions, logs and secrets."""
    deletion = session.api.delete(at("instances", instance_id), confirm_name=confirm_name).json()
    if wait:
        finish_job(session, deletion["job_id"], timeout)
    else:
        session.out.item(deletion, "id job_id state")


@command(app, "rotate-endpoint")
def rotate_endpoint(session: Session, instance_id: InstanceId, overlap: Overlap = None) -> None:
    """Give the instance's endpoint another URL; the old one is refused at once, or after the overlap."""
    session.out.item(session.api.post(at("instances", instance_id, "rotate_endpoint"), rotation(overlap)), FIELDS)


@command(app, "events")
def events(session: Session, instance_id: InstanceId, paging: Paging) -> None:
    """Who did what and when, newest first."""
    session.listed(at("instances", instance_id, "events"), "at principal action details", paging)


def _given(**said: Any) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}
