"""A log stream: one look after another, for as long as the stream is there and enabled."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.log_streams import LogStreamActivities
    from domain.messages import LOG_STREAM_SIGNAL, LOG_STREAM_WORKFLOW, LogStreamInput, LogStreamLook
    from workflows import policies


@workflow.defn(name=LOG_STREAM_WORKFLOW)
class LogStreamWorkflow:
    def __init__(self) -> None:
        self._woken = False

    @workflow.signal(name=LOG_STREAM_SIGNAL)
    def look(self) -> None:
        """The stream has been changed: the pause until the next try is over, and so is an end that was near."""
        self._woken = True

    @workflow.run
    async def run(self, message: LogStreamInput) -> None:
        for _ in range(policies.LOG_STREAM_SEGMENT):
            self._woken = False
            look = await _look(message)
            if look.over and not self._woken:
                return
            if look.again_in_seconds:
                await self._pause(timedelta(seconds=look.again_in_seconds))
        workflow.continue_as_new(message)

    async def _pause(self, delay: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._woken, timeout=delay)
        except TimeoutError:
            return


async def _look(message: LogStreamInput) -> LogStreamLook:
    return await workflow.execute_activity_method(
        LogStreamActivities.send_log_lines, message, summary="Send", **policies.LOG_STREAM
    )
