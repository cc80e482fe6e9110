"""What every line that an activity logs carries: what it is about, as far as its message says so."""

from typing import Any

from structlog.contextvars import bind_contextvars
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

IDS = ("execution_id", "instance_id", "object_id", "job_id")


class LogContext(Interceptor):
    """Binds for the rest of the activity's task, so that also Temporal's own line about its failure has them."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Bound(next)


class _Bound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        message = input.args[0] if input.args else None
        ids = {name: value for name in IDS if (value := getattr(message, name, None))}
        bind_contextvars(activity=activity.info().activity_type, **ids)
        return await super().execute_activity(input)
