"""The commands that talk to a server. They need none of the server's own libraries, which take a second to import."""

import typer

from cli import (
    alert_groups,
    alerts,
    api_keys,
    audit,
    config,
    connections,
    customers,
    event_endpoints,
    events,
    executions,
    flows,
    instance_connections,
    instances,
    integrations,
    jobs,
    keys,
    labels,
    log_streams,
    login,
    logs,
    maintenance,
    monitors,
    replays,
    request,
    state,
    transfer,
    upgrades,
    usage,
    versions,
    views,
)
from cli.words import Words

app = typer.Typer(
    cls=Words, no_args_is_help=True, add_completion=False, help="Flowgraft: integration instances on Temporal."
)
instances.app.add_typer(config.app, name="config")
instances.app.add_typer(instance_connections.app, name="connections")
for commands in (login.root, request.root, transfer.root, usage.root):
    app.add_typer(commands)
for name, noun in {
    "customers": customers,
    "integrations": integrations,
    "versions": versions,
    "upgrades": upgrades,
    "instances": instances,
    "flows": flows,
    "executions": executions,
    "replays": replays,
    "state": state,
    "logs": logs,
    "log-streams": log_streams,
    "events": events,
    "monitors": monitors,
    "alerts": alerts,
    "alert-groups": alert_groups,
    "maintenance": maintenance,
    "event-endpoints": event_endpoints,
    "labels": labels,
    "views": views,
    "audit": audit,
    "connections": connections,
    "jobs": jobs,
    "keys": keys,
    "api-keys": api_keys,
    "profiles": login,
}.items():
    app.add_typer(noun.app, name=name)
