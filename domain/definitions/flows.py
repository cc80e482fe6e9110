"""Checks of a flow: its trigger, retry, concurrency and timeout; then its steps."""

from datetime import timedelta

from domain.catalog import Catalog
from domain.definitions.actions import ActionChecks
from domain.definitions.limits import check_duration
from domain.definitions.model import Concurrency, Dedupe, Flow, PollTrigger, Retry, Timed, WebhookTrigger
from domain.definitions.places import Report
from domain.definitions.scope import POLL_ROOTS, TRIGGER_ROOTS, Known, Scope
from domain.definitions.signing import check_hmac
from domain.definitions.steps import StepChecks
from domain.schedules import check_cron, check_time_zone
from domain.text import truncate
from domain.values import Location, PathSyntax, is_expression, parse_path

LONGEST_TIMEOUT = timedelta(hours=24)
LONGEST_DELAY = timedelta(minutes=60)
LONGEST_MAX_DELAY = timedelta(hours=24)
SHORTEST_PARKING = timedelta(minutes=1)

_QUEUED = ("sequential", "throttled")
_OF_QUEUES = {
    "limit": ("throttled",),
    "key": _QUEUED,
    "max_length": _QUEUED,
    "when_full": _QUEUED,
    "on_failure": _QUEUED,
    "when_failed": _QUEUED,
}


def check_flow(flow: Flow, at: Location, known: Known, catalog: Catalog) -> None:
    report, trigger = known.report, flow.trigger
    if isinstance(trigger, WebhookTrigger):
        _check_webhook(trigger, (*at, "trigger"), known)
    elif isinstance(trigger, Timed):
        _check_schedule(trigger, (*at, "trigger"), known)
    if isinstance(trigger, PollTrigger):
        _check_poll(trigger, (*at, "trigger"), known, catalog)
    synchronous = isinstance(trigger, WebhookTrigger) and trigger.respond == "sync"
    if flow.retry:
        if synchronous:
            report.add((*at, "retry"), "invalid_value", "a synchronous flow has no retry: its caller waits", key=True)
        _check_retry(flow.retry, trigger.type, (*at, "retry"), known)
    if flow.concurrency and (synchronous or isinstance(trigger, Timed)):
        kind = "synchronous" if synchronous else trigger.type
        report.add((*at, "concurrency"), "invalid_value", f"a {kind} flow has no concurrency", key=True)
    elif flow.concurrency:
        _check_concurrency(flow.concurrency, trigger.type, (*at, "concurrency"), known)
    check_duration(flow.timeout, (*at, "timeout"), report, longest=LONGEST_TIMEOUT)
    StepChecks(Scope(known, flow.steps), catalog).check_steps(flow.steps, (*at, "steps"))


def _check_webhook(trigger: WebhookTrigger, at: Location, known: Known) -> None:
    report, scope = known.report, Scope(known)
    if not trigger.methods:
        report.add((*at, "methods"), "invalid_value", "methods is empty: no request could come in")
    if trigger.security and trigger.security.hmac:
        check_hmac(trigger.security.hmac, (*at, "security", "hmac"), known)
    if trigger.dedupe:
        _check_dedupe(trigger.dedupe, (*at, "dedupe"), report)
    scope.check(trigger.tags, (*at, "tags"), roots=TRIGGER_ROOTS)


def _check_dedupe(dedupe: Dedupe, at: Location, report: Report) -> None:
    if (dedupe.header is None) == (dedupe.body is None):
        report.add(at, "invalid_value", "dedupe takes either header or body")
    if dedupe.header is not None and (not dedupe.header or is_expression(dedupe.header)):
        report.add((*at, "header"), "invalid_value", "this is not the name of a header")
    if dedupe.body is not None:
        try:
            parse_path(dedupe.body)
        except PathSyntax as error:
            detail = f"a path into the body, such as event.id: {error.message} (character {error.offset + 1})"
            report.add((*at, "body"), "bad_expression", detail)


def _check_schedule(trigger: Timed, at: Location, known: Known) -> None:
    report = known.report
    if (trigger.from_ is None) == (trigger.cron is None):
        report.add(at, "invalid_value", "a schedule takes either from, a config key, or cron")
    if trigger.from_ is not None:
        field = known.fields.get(trigger.from_)
        if field is None:
            hint = report.did_you_mean(trigger.from_, known.fields)
            detail = f"there is no config key {truncate(trigger.from_, 60)}{hint}"
            report.add((*at, "from"), "unknown_config_key", detail)
        elif field.type != "schedule":
            report.add((*at, "from"), "invalid_value", f"{field.key} is of type {field.type}, not schedule")
        if trigger.time_zone is not None:
            report.add((*at, "time_zone"), "invalid_value", "time_zone goes with cron: from has its own", key=True)
    if trigger.cron is not None and (wrong := check_cron(trigger.cron)):
        report.add((*at, "cron"), "bad_cron", wrong)
    if trigger.time_zone is not None and (wrong := check_time_zone(trigger.time_zone)):
        report.add((*at, "time_zone"), "bad_time_zone", wrong)
    check_duration(trigger.catch_up, (*at, "catch_up"), report)


def _check_poll(trigger: PollTrigger, at: Location, known: Known, catalog: Catalog) -> None:
    actions = ActionChecks(known.fields, catalog, known.report)
    spec = actions.spec(trigger.action, (*at, "action"))
    if spec is not None:
        actions.check_use(trigger, spec, at)
    Scope(known).check(trigger.inputs, (*at, "inputs"), secrets=True, roots=POLL_ROOTS)
    for name in ("items", "id", "cursor"):
        path = getattr(trigger, name)
        try:
            parse_path(f"output.{path}") if path is not None else None
        except PathSyntax as error:
            detail = f"a path such as body.orders: {error.message} (character {error.offset + 1 - len('output.')})"
            known.report.add((*at, name), "bad_expression", detail)


def _check_retry(retry: Retry, trigger: str, at: Location, known: Known) -> None:
    report = known.report
    check_duration(retry.delay, (*at, "delay"), report, longest=LONGEST_DELAY, zero=True)
    check_duration(retry.max_delay, (*at, "max_delay"), report, longest=LONGEST_MAX_DELAY, zero=True)
    if retry.unique_by is not None and trigger != "webhook":
        report.add((*at, "unique_by"), "invalid_value", "unique_by goes with webhook triggers", key=True)
    elif retry.unique_by is not None:
        Scope(known).check(retry.unique_by, (*at, "unique_by"), roots=TRIGGER_ROOTS)


def _check_concurrency(concurrency: Concurrency, trigger: str, at: Location, known: Known) -> None:
    report, mode = known.report, concurrency.mode
    if mode != "parallel" and trigger not in ("webhook", "flow"):
        report.add((*at, "mode"), "invalid_value", f"{mode} goes with webhook and flow triggers")
    if mode == "throttled" and concurrency.limit is None:
        report.add(at, "invalid_value", "a throttled flow has a limit: how many run at once")
    for name, modes in _OF_QUEUES.items():
        if getattr(concurrency, name) is not None and mode not in modes:
            report.add((*at, name), "invalid_value", f"{name} goes with {' and '.join(modes)} flows", key=True)
    if concurrency.when_full is not None and concurrency.max_length is None:
        report.add((*at, "when_full"), "invalid_value", "when_full goes with max_length", key=True)
    _check_parking(concurrency, at, report)
    if concurrency.key is not None and mode != "parallel":
        Scope(known).check(concurrency.key, (*at, "key"), roots=TRIGGER_ROOTS)


def _check_parking(concurrency: Concurrency, at: Location, report: Report) -> None:
    parks = concurrency.when_failed == "park"
    if parks and concurrency.mode == "throttled" and concurrency.key is None:
        detail = "park goes with flows that keep an order: sequential, or with a key"
        report.add((*at, "when_failed"), "invalid_value", detail)
    if concurrency.park_for is None:
        return
    if not parks:
        report.add((*at, "park_for"), "invalid_value", "park_for goes with when_failed: park", key=True)
    check_duration(concurrency.park_for, (*at, "park_for"), report, shortest=SHORTEST_PARKING)
