import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from domain import messages
from domain.executions import RetryRule
from domain.messages import ActionHint, CloseInput, ExecutionInput, Failure, Opened, RunStepInput, StepRecord
from runtime.messages import MessageConverter, message_reader

SDK = DataConverter.default.payload_converter
OURS = MessageConverter()

FAILURE = Failure("busy", "Half a pair: \ud800", "a", retry_after=1.5, details={"b": [1, {"c": None}]})
RECORD = StepRecord("a", "a", "A", "branch", 1, "failed", "2026-01-01T00:00:00+00:00", iteration=[2], error=FAILURE)
STEP: dict[str, Any] = {
    "execution_id": "exec_1",
    "attempt": 1,
    "deployment_id": "dep_1",
    "path": "a",
    "key": "a",
    "name": "Ä",
    "position": 1,
    "started_at": "2026-01-01T00:00:00+00:00",
    "timeout_seconds": 2.5,
}
CLOSE = CloseInput("flow_1", "exec_1", "dep_1", 1, 3, "failed", "exec_1", "run_1", failure=FAILURE, records=[RECORD])
SAMPLES = [
    RunStepInput(**STEP, inputs={"a": {"b": [1, 2.5, None, True]}}, records=[RECORD, RECORD]),
    Opened(True, flow={"key": "f"}, actions={"http.get": ActionHint(False, ["when"]), "data.map": ActionHint(True)}),
    ExecutionInput("flow_1", retry=RetryRule(max_attempts=4), trigger=None),
    CLOSE,
    FAILURE,
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_message_is_written_and_read_as_the_sdk_does_it(sample: Any) -> None:
    written = OURS.to_payload(sample)
    assert written == SDK.to_payload(sample)
    assert OURS.from_payload(written, type(sample)) == SDK.from_payload(written, type(sample)) == sample


@pytest.mark.parametrize("value", [None, b"\x00", "text", 7, [1, {"a": None}], {"a": "b"}])
def test_plain_values_are_written_as_the_sdk_does_it(value: Any) -> None:
    assert OURS.to_payload(value) == SDK.to_payload(value)
    assert OURS.from_payload(OURS.to_payload(value)) == value


def test_field_of_a_newer_process_is_dropped() -> None:
    payload = OURS.to_payload({"code": "a", "message": "b", "shade": "green"})
    assert OURS.from_payload(payload, Failure) == Failure("a", "b")


def test_absent_field_without_a_default_is_refused() -> None:
    with pytest.raises(TypeError, match="message"):
        OURS.from_payload(OURS.to_payload({"code": "a"}), Failure)


def test_every_message_can_be_read() -> None:
    found = [each for each in vars(messages).values() if isinstance(each, type) and is_dataclass(each)]
    assert len(found) > 10
    for message in found:
        assert callable(message_reader(message))


def test_encoding_is_compact_and_sorted() -> None:
    written: Payload = OURS.to_payload(FAILURE)
    assert list(json.loads(written.data)) == sorted(field.name for field in fields(Failure))
    assert b", " not in written.data
