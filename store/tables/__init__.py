"""All tables. Rows have no methods. Encrypted columns are bytes; this room has no key."""

from store.tables.base import Base
from store.tables.catalog import CustomerRow, IntegrationRow, VersionRow
from store.tables.connections import ConnectionRow, ConnectionUseRow, OAuthStateRow
from store.tables.executions import BlobRow, CallbackRow, ExecutionRow, ExecutionTagRow, LogRow, PayloadRow, StepRow
from store.tables.instances import (
    ConfigDraftRow,
    ConfigValueRow,
    DeploymentRow,
    FlowApiKeyRow,
    InstanceFlowRow,
    InstanceRow,
    TombstoneRow,
)
from store.tables.log_streams import LogStreamRow
from store.tables.monitors import (
    AlertGroupRow,
    AlertRow,
    ConditionRow,
    DeliveryAttemptRow,
    DeliveryRow,
    EventEndpointRow,
    MaintenanceWindowRow,
    MonitorRow,
    OutboxRow,
    TargetRow,
)
from store.tables.operations import ApiKeyRow, EventRow, IdempotencyRow, JobRow, SavedViewRow
from store.tables.replays import ReplayItemRow, ReplayRow
from store.tables.secrets import DataKeyRow
from store.tables.state import IntegrationStateRow, StateRow
from store.tables.upgrades import UpgradeItemRow, UpgradeRow
from store.tables.usage import HourRow, RemovedRow, SweepRow, UsageDayRow, UsageHourRow

__all__ = [
    "AlertGroupRow",
    "AlertRow",
    "ApiKeyRow",
    "Base",
    "BlobRow",
    "CallbackRow",
    "ConditionRow",
    "ConfigDraftRow",
    "ConfigValueRow",
    "ConnectionRow",
    "ConnectionUseRow",
    "CustomerRow",
    "DataKeyRow",
    "DeliveryAttemptRow",
    "DeliveryRow",
    "DeploymentRow",
    "EventEndpointRow",
    "EventRow",
    "ExecutionRow",
    "ExecutionTagRow",
    "FlowApiKeyRow",
    "HourRow",
    "IdempotencyRow",
    "InstanceFlowRow",
    "InstanceRow",
    "IntegrationRow",
    "IntegrationStateRow",
    "JobRow",
    "LogRow",
    "LogStreamRow",
    "MaintenanceWindowRow",
    "MonitorRow",
    "OAuthStateRow",
    "OutboxRow",
    "PayloadRow",
    "RemovedRow",
    "ReplayItemRow",
    "ReplayRow",
    "SavedViewRow",
    "StateRow",
    "StepRow",
    "SweepRow",
    "TargetRow",
    "TombstoneRow",
    "UpgradeItemRow",
    "UpgradeRow",
    "UsageDayRow",
    "UsageHourRow",
    "VersionRow",
]
