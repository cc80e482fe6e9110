"""Every encrypted column of the ledger: which key its values are under, and the place that they are bound to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from activities import (
    callbacks,
    configuration,
    connection_secrets,
    deployments,
    drafts,
    log_streams,
    payloads,
    records,
    state,
    targets,
)
from runtime import codec
from store.sealed import Key, SealedColumn, of_instance, of_organization
from store.tables import (
    BlobRow,
    CallbackRow,
    ConfigDraftRow,
    ConfigValueRow,
    ConnectionRow,
    DeploymentRow,
    IdempotencyRow,
    InstanceFlowRow,
    IntegrationStateRow,
    LogStreamRow,
    OAuthStateRow,
    PayloadRow,
    StateRow,
    StepRow,
    TargetRow,
)


@dataclass(frozen=True)
class Place:
    """`context` is the associated data of the value in the row with this key. Under data keys where it has a customer,
    else straight under the ring."""

    sealed: SealedColumn
    context: Callable[[Key], str]

    @property
    def under_data_keys(self) -> bool:
        return self.sealed.customer is not None


UNDER_DATA_KEYS = [
    Place(
        of_instance(ConfigValueRow, ConfigValueRow.secret, ConfigValueRow.instance_id),
        lambda key: configuration.context(*key),
    ),
    Place(
        of_instance(DeploymentRow, DeploymentRow.secrets, DeploymentRow.instance_id),
        lambda key: deployments.secrets_context(*key),
    ),
    Place(
        of_instance(ConfigDraftRow, ConfigDraftRow.values, ConfigDraftRow.instance_id),
        lambda key: drafts.draft_context(*key),
    ),
    Place(
        SealedColumn(ConnectionRow, ConnectionRow.values, ConnectionRow.customer_id),
        lambda key: connection_secrets.connection_place(key[0], "values"),
    ),
    Place(
        SealedColumn(ConnectionRow, ConnectionRow.tokens, ConnectionRow.customer_id),
        lambda key: connection_secrets.connection_place(key[0], "tokens"),
    ),
    Place(
        SealedColumn(OAuthStateRow, OAuthStateRow.sealed, OAuthStateRow.customer_id),
        lambda key: connection_secrets.sealed_place(*key),
    ),
    Place(of_organization(TargetRow, TargetRow.sealed), lambda key: targets.target_place(*key)),
    Place(
        SealedColumn(LogStreamRow, LogStreamRow.headers, LogStreamRow.customer_id),
        lambda key: log_streams.headers_place(*key),
    ),
]

# Kept answers of the API: they go after a day, so a rotation only counts them.
FLEETING = SealedColumn(IdempotencyRow, IdempotencyRow.answer)


def places(namespace: str) -> dict[str, Place]:
    """By name, without what is gone after a day."""
    found = [
        *UNDER_DATA_KEYS,
        _ring(StateRow, StateRow.value, lambda key: state.state_context(*key)),
        _ring(
            IntegrationStateRow,
            IntegrationStateRow.value,
            lambda key: state.state_context("integration", key[0], key[1]),
        ),
        _ring(InstanceFlowRow, InstanceFlowRow.test_payload, lambda key: payloads.stored_payload_context(*key)),
        _ring(PayloadRow, PayloadRow.head, lambda key: payloads.payload_context(key[0], "head")),
        _ring(PayloadRow, PayloadRow.body, lambda key: payloads.payload_context(key[0], "body")),
        _ring(StepRow, StepRow.inputs, lambda key: records.value_context(key[0], key[1], key[2], "inputs")),
        _ring(StepRow, StepRow.output, lambda key: records.value_context(key[0], key[1], key[2], "output")),
        _ring(CallbackRow, CallbackRow.sealed, lambda key: callbacks.callback_context(*key)),
        _ring(BlobRow, BlobRow.data, lambda key: codec.blob_context(namespace, *key)),
    ]
    return {place.sealed.name: place for place in found}


def _ring(row: type[Any], column: Any, context: Callable[[Key], str]) -> Place:
    return Place(SealedColumn(row, column), context)
