"""All tables. Rows have no methods. Encrypted columns are bytes; this room has no key."""

from store.tables.base import Base
from store.tables.catalog import CustomerRow, IntegrationRow, VersionRow
from store.tables.executions import BlobRow, ExecutionRow, ExecutionTagRow, LogRow, PayloadRow, StateRow, StepRow
from store.tables.instances import (
    ConfigValueRow,
    DeploymentRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    TombstoneRow,
)
from store.tables.operations import ApiKeyRow, EventRow, IdempotencyRow, JobRow

__all__ = [
    "ApiKeyRow",
    "Base",
    "BlobRow",
    "ConfigValueRow",
    "CustomerRow",
    "DeploymentRow",
    "EventRow",
    "ExecutionRow",
    "ExecutionTagRow",
    "FlowApiKeyRow",
    "IdempotencyRow",
    "InstanceFlowRow",
    "InstanceRow",
    "IntegrationRow",
    "JobRow",
    "LogRow",
    "PayloadRow",
    "StateRow",
    "StepRow",
    "TombstoneRow",
    "VersionRow",
]
