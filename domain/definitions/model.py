"""The one model of an integration definition; every notation is read into it, and its JSON Schema comes from here."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

IntegrationKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", min_length=1, max_length=100)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", min_length=1, max_length=100)]
DURATION = r"^[0-9]+(ms|s|m|h)$"
Duration = Annotated[str, Field(pattern=DURATION, description="500ms, 30s, 5m, 24h")]
Scalar = str | int | float | bool
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Node(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def one_of(*keys: str) -> ConfigDict:
    """Of these keys exactly one: a hint for editors; the reader says it in words of its own."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in keys]})


class OptionsFrom(Node):
    """An action that lists a field's options live. `items`, `label` and `value` are paths such as body.regions."""

    action: str
    connection: Key | None = None
    inputs: dict[str, Any] = {}
    items: str | None = Field(None, description="Where the list is in what the action returns; default: it is the list")
    label: str | None = Field(None, description="What people see of an item; default: its value")
    value: str | None = Field(None, description="What is kept of an item; default: the item itself")


class ConnectionCheck(Node):
    """An action that shows whether a connection works, for when somebody tests it."""

    action: str
    inputs: dict[str, Any] = {}

    def as_used_by(self, key: str) -> OptionsFrom:
        """With the connection that it belongs to."""
        return OptionsFrom(connection=key, **self.model_dump(exclude_unset=True))


class ConfigField(Node):
    """One config variable. `required` defaults to true unless there is a default."""

    key: Key
    type: Literal[
        "string",
        "number",
        "boolean",
        "date",
        "timestamp",
        "picklist",
        "code",
        "schedule",
        "json_form",
        "object_selection",
        "field_map",
        "connection",
        "html",
    ]
    label: str | None = None
    description: str | None = None
    required: bool | None = None
    default: Any = None
    options: list[Scalar] | None = None
    options_from: OptionsFrom | None = None
    collection: Literal["list", "map"] | None = None
    secret: bool = False
    visible_to: Literal["customer", "embedded", "organization"] = "customer"
    connection: str | None = Field(None, description="The kind of a connection field, such as http/bearer")
    hosts: list[str] | None = Field(None, description="The only hosts a connection's secret is ever sent to")
    check: ConnectionCheck | None = None
    language: Literal["json", "xml", "html"] | None = None
    form_schema: dict[str, Any] | None = Field(None, alias="schema")
    ui_schema: dict[str, Any] | None = None

    @property
    def is_required(self) -> bool:
        if self.type == "html":
            return False
        return self.default is None if self.required is None else self.required


class ConfigPage(Node):
    page: Name
    tagline: str | None = None
    fields: list[ConfigField] = []


def _how_many(value: Any) -> str:
    return "list" if isinstance(value, list) else "str"


HmacScheme = Literal["standard_webhooks", "github", "stripe", "slack", "generic"]
OneOrMore = Annotated[Annotated[str, Tag("str")] | Annotated[list[str], Tag("list")], Discriminator(_how_many)]


class Hmac(Node):
    """How deliveries are signed. What stands below `tolerance` goes with the generic scheme."""

    scheme: HmacScheme
    secret: OneOrMore = Field(description="{{ config.key }} of a secret field; two of them while it is being changed")
    tolerance: Duration | None = Field(None, description="How far the time of signing may be from ours; default 5m")
    header: str | None = Field(None, description="The signature's; default x-signature")
    algorithm: Literal["sha256", "sha512"] | None = Field(None, description="Default sha256")
    encoding: Literal["hex", "base64"] | None = Field(None, description="Default hex")
    prefix: str | None = Field(None, description="Stands in front of the signature, such as sha256=")
    timestamp_header: str | None = Field(None, description="With Unix seconds; <seconds>.<body> is then signed")

    @property
    def secrets(self) -> list[str]:
        return [self.secret] if isinstance(self.secret, str) else self.secret


class Security(Node):
    api_key: Literal["optional", "required"] | None = None
    hmac: Hmac | None = None


class Dedupe(Node):
    header: str | None = None
    body: str | None = Field(None, description="A path into the body, such as event.id")


class WebhookTrigger(Node):
    type: Literal["webhook"]
    methods: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE"]] = ["POST", "PUT", "PATCH", "DELETE"]
    respond: Literal["async", "sync"] = "async"
    security: Security | None = None
    dedupe: Dedupe | None = None
    tags: dict[Key, str] = {}


POLL = "$poll"  # the key of the step that polls


class Timed(Node):
    """Either `from` (a schedule config variable) or `cron`."""

    model_config = one_of("from", "cron")
    from_: Key | None = Field(None, alias="from")
    cron: str | None = None
    time_zone: str | None = None
    overlap: Literal["skip", "allow"] = "skip"
    catch_up: Duration = "10m"


class ScheduleTrigger(Timed):
    type: Literal["schedule"]


class DeployTrigger(Node):
    type: Literal["deploy"]


class RemoveTrigger(Node):
    type: Literal["remove"]


class FlowTrigger(Node):
    type: Literal["flow"]


class PollTrigger(Timed):
    """A schedule, and an action that says what there is: the flow runs with what is new, if anything is."""

    type: Literal["poll"]
    action: str
    connection: Key | None = None
    inputs: dict[str, Any] = {}
    items: str = Field(description="A path into what the action returns: the list")
    id: str | None = Field(None, description="A path into each item: what tells it from others. Default: all of it")
    cursor: str | None = Field(None, description="A path into what the action returns: where the next poll goes on")

    @property
    def step(self) -> "Step":
        """The poll as a step of its own, of a key that no other one has."""
        return Step.model_construct(key=POLL, action=self.action, connection=self.connection, inputs=self.inputs)


Trigger = Annotated[
    WebhookTrigger | ScheduleTrigger | DeployTrigger | RemoveTrigger | FlowTrigger | PollTrigger,
    Field(discriminator="type"),
]


class Retry(Node):
    """The flow's retry: the whole execution again from its first step."""

    retries: Annotated[int, Field(ge=0, le=10)] = 0
    delay: Duration = "60s"
    backoff: Literal["fixed", "exponential"] = "fixed"
    max_delay: Duration = "24h"
    on: Literal["any", "transient"] = "any"
    unique_by: str | None = None


class Concurrency(Node):
    mode: Literal["parallel", "sequential", "throttled"] = "parallel"
    limit: Annotated[int, Field(ge=1, le=100)] | None = None
    key: str | None = None
    max_length: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    when_full: Literal["reject", "drop_oldest"] | None = None
    on_failure: Literal["step_aside", "hold"] | None = None
    when_failed: Literal["go_on", "park"] | None = None
    park_for: Duration | None = None


class OnError(Node):
    """A step's own policy: retries of the step, then fail or go on."""

    retries: Annotated[int, Field(ge=0, le=10)] = 0
    delay: Duration = "1s"
    backoff: Literal["fixed", "exponential"] = "fixed"
    then: Literal["fail", "continue"] = "fail"


class Case(Node):
    """A branch's case: `when` or `else: true`."""

    model_config = one_of("when", "else")
    name: Name
    when: dict[str, Any] | None = None
    else_: Literal[True] | None = Field(None, alias="else")
    steps: list["Step"] = []


class Loop(Node):
    """Either `over` a list (or an object's entries), or `times`."""

    model_config = one_of("over", "times")
    over: Any = None
    times: int | str | None = None


class Stop(Node):
    status: int | str | None = None
    headers: dict[str, str] | None = None
    body: Any = None
    fail: str | None = None


class Wait(Node):
    timeout: Duration


class Call(Node):
    flow: Key
    inputs: dict[str, Any] = {}
    wait: bool = True


class Step(Node):
    """Exactly one of action, branch, loop, stop, break, sleep, wait, call."""

    model_config = one_of("action", "branch", "loop", "stop", "break", "sleep", "wait", "call")
    key: Key
    name: Name | None = None
    action: str | None = None
    connection: Key | None = None
    inputs: dict[str, Any] = {}
    on_error: OnError | None = None
    timeout: Duration | None = None
    branch: list[Case] | None = None
    loop: Loop | None = None
    steps: list["Step"] | None = None
    stop: Stop | None = None
    break_: Literal[True] | None = Field(None, alias="break")
    sleep: Duration | None = None
    wait: Wait | None = None
    call: Call | None = None

    @property
    def title(self) -> str:
        return self.name or self.key

    @property
    def kind(self) -> str:
        """Which of the eight this step is."""
        names = ("action", "branch", "loop", "stop", "break_", "sleep", "wait", "call")
        return next((name.rstrip("_") for name in names if getattr(self, name) is not None), "none")


class Flow(Node):
    key: Key
    name: Name | None = None
    description: str | None = None
    trigger: Trigger
    retry: Retry | None = None
    concurrency: Concurrency | None = None
    timeout: Duration = "15m"
    on_connection_error: Literal["wait", "fail"] = Field(
        "wait", description="wait: until a connection that must be authorised again has been"
    )
    steps: list[Step]

    @property
    def title(self) -> str:
        return self.name or self.key

    @property
    def waits_for_connections(self) -> bool:
        """Nobody waits for the answer of a flow that waits for a person."""
        is_synchronous = isinstance(self.trigger, WebhookTrigger) and self.trigger.respond == "sync"
        return self.on_connection_error == "wait" and not is_synchronous

    def all_steps(self) -> Iterator[Step]:
        """Every step, also the nested ones, in reading order."""
        yield from walk(self.steps)


EndpointMode = Literal["flow_specific", "instance_specific", "shared_instance"]


class Endpoint(Node):
    """Which address webhooks have: each flow one of its own, each instance one, or all instances the same."""

    mode: EndpointMode = "flow_specific"
    flow: str | None = Field(None, description="Where a request names its flow by key, such as headers.x-acme-flow")
    customer: str | None = Field(None, description="Where it names its customer by external_id, such as body.account")


class Definition(Node):
    """An integration definition, `flowgraft/v1`."""

    schema_: Literal["flowgraft/v1"] = Field(alias="schema")
    key: IntegrationKey
    name: Name
    description: str | None = None
    category: str | None = None
    labels: list[str] = []
    endpoint: Endpoint | None = None
    config: list[ConfigPage] = []
    flows: list[Flow]

    @property
    def endpoint_mode(self) -> EndpointMode:
        return self.endpoint.mode if self.endpoint else "flow_specific"

    def fields(self) -> dict[str, ConfigField]:
        return {field.key: field for page in self.config for field in page.fields}

    def flow(self, key: str) -> Flow:
        return next(flow for flow in self.flows if flow.key == key)


def walk(steps: list[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from walk(step.steps or [])
        for case in step.branch or []:
            yield from walk(case.steps)
