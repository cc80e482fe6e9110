from domain.executions import Status
from domain.messages import Failure
from tests.workflows.stage import Fakes, Stage, get, say, step_error


async def test_steps_in_order_with_the_values_of_earlier_ones(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run(
        get("first", "{{ trigger.body.id }}"),
        say("second", "{{ customer.name }} {{ steps.first.value }} {{ trigger.headers.x-shop }}"),
        get("third", "{{ config.endpoint }}/{{ execution.attempt }}"),
    )
    assert [(step.path, step.position, step.inputs) for step in fakes.steps] == [
        ("first", 1, {"value": 7}),
        ("second", 2, {"message": "Acme 7 north"}),
        ("third", 3, {"value": "https://shop.example.com/1"}),
    ]
    assert (close.status, close.attempt, close.failure, close.records) == (Status.SUCCEEDED, 1, None, [])
    assert [opened.with_trigger for opened in fakes.opens] == [False]


async def test_what_a_step_is_told_of_its_definition(stage: Stage, fakes: Fakes) -> None:
    policy = {"retries": 2, "delay": "5s", "backoff": "exponential"}
    await stage.run(get("order", name="Fetch it", connection="shop", timeout="30s", on_error=policy))
    step = fakes.steps[0]
    assert (step.name, step.connection, step.action, step.deployment_id) == ("Fetch it", "shop", "http.get", "dep_1")
    assert (step.timeout_seconds, step.tries, step.delay_seconds, step.exponential) == (30.0, 3, 5.0, True)
    assert step.execution_id == fakes.close.execution_id


async def test_step_without_a_policy_is_tried_once(stage: Stage, fakes: Fakes) -> None:
    await stage.run(get("order"))
    assert (fakes.steps[0].tries, fakes.steps[0].timeout_seconds) == (1, 300.0)


async def test_failed_step_ends_the_execution(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = step_error(details={"status": 404})
    close = await stage.run(get("get"), say("never"))
    assert fakes.paths == ["get"]
    assert close.status == Status.FAILED
    assert close.failure == Failure("http_status", "http_status happened", "get", details={"status": 404})


async def test_failed_local_step_ends_the_execution(stage: Stage, fakes: Fakes) -> None:
    fakes.script["say"] = step_error("not_a_number")
    close = await stage.run(say("say"))
    assert close.failure is not None
    assert (close.status, close.failure.code) == (Status.FAILED, "not_a_number")


async def test_failed_step_that_continues(stage: Stage, fakes: Fakes) -> None:
    fakes.script["get"] = step_error()
    close = await stage.run(get("get", on_error={"then": "continue"}), say("next", "{{ steps.get.error.code }}"))
    assert close.status == Status.SUCCEEDED
    assert fakes.steps[1].inputs == {"message": "http_status"}


async def test_lazy_inputs_are_bound_and_data_is_never_a_template(stage: Stage, fakes: Fakes) -> None:
    fakes.script["data"] = {"suffix": "{{ customer.name }}", "rows": [1]}
    to = {"sku": "{{ item.sku }}-{{ steps.data.suffix }}", "given": "{{ steps.data.suffix }}"}
    lines = {"items": "{{ trigger.body.lines }}", "to": to}
    await stage.run(
        get("data"),
        {"key": "each", "action": "data.map", "inputs": lines},
        get("after", {"copied": "{{ steps.data.suffix }}"}),
    )
    each, after = fakes.steps[1], fakes.steps[2]
    assert each.inputs == {"items": [{"sku": "a"}, {"sku": "b"}]}
    assert each.lazy == {"to": {"template": to, "bindings": {"steps.data.suffix": "{{ customer.name }}"}}}
    assert after.inputs == {"value": {"copied": "{{ customer.name }}"}}


async def test_template_that_cannot_be_evaluated_is_a_failed_record(stage: Stage, fakes: Fakes) -> None:
    fakes.script["big"] = "x" * 3_000_000
    close = await stage.run(get("big"), say("join", "{{ steps.big }} {{ steps.big }}" * 4), say("never"))
    assert fakes.paths == ["big"]
    assert close.failure is not None
    assert (close.failure.code, close.failure.step) == ("value_too_large", "join")
    record = close.records[0]
    assert (record.path, record.kind, record.status, record.position) == ("join", "log.write", "failed", 2)
    assert record.error == close.failure


async def test_template_error_that_continues_travels_with_the_next_step(stage: Stage, fakes: Fakes) -> None:
    fakes.script["big"] = "x" * 3_000_000
    close = await stage.run(
        get("big"),
        say("join", "{{ steps.big }} {{ steps.big }}" * 4, on_error={"then": "continue"}),
        say("next", "{{ steps.join.error.code }}"),
    )
    assert close.status == Status.SUCCEEDED
    assert [(record.path, record.status) for record in fakes.steps[1].records] == [("join", "failed")]
    assert fakes.steps[1].inputs == {"message": "value_too_large"}
    assert close.records == []


async def test_step_of_no_known_kind_fails_for_good(stage: Stage, fakes: Fakes) -> None:
    close = await stage.run({"key": "hold"})
    assert close.failure is not None
    assert (close.failure.code, close.failure.permanent) == ("not_supported_yet", True)
    assert fakes.paths == []


async def test_action_unknown_to_the_conductor_is_an_outside_step(stage: Stage, fakes: Fakes) -> None:
    fakes.script["odd"] = step_error("unknown_action", permanent=True)
    close = await stage.run({"key": "odd", "action": "acme.frobnicate", "inputs": {}})
    assert close.failure is not None
    assert close.failure.code == "unknown_action"
