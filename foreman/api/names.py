"""The words that components agree on: condition types and reasons, annotations, labels."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "foreman.llmkube.dev/"

ANNOTATION_CLAIM_EXPIRIES: Final = PREFIX + "claim-expiries"
ANNOTATION_AUDITED: Final = PREFIX + "audited"

LABEL_WORKLOAD: Final = PREFIX + "workload"
LABEL_STEP: Final = PREFIX + "step"
LABEL_DISPATCH_RUN: Final = PREFIX + "dispatch-run"
LABEL_ISSUE: Final = PREFIX + "issue"
LABEL_AGENT: Final = PREFIX + "agent"

# AgenticTask conditions.
CONDITION_SCHEDULED: Final = "Scheduled"
CONDITION_RUNNING: Final = "Running"
CONDITION_COMPLETED: Final = "Completed"
CONDITION_FAILED: Final = "Failed"
CONDITION_SKIPPED: Final = "Skipped"
CONDITION_CLAIM_EXPIRED: Final = "ClaimExpired"
CONDITION_DEP_WAIT_STARTED: Final = "DepWaitStarted"

# AgenticTask reasons, operator.
REASON_FLEET_NODE_ASSIGNED: Final = "FleetNodeAssigned"
REASON_UPSTREAM_FAILED: Final = "UpstreamFailed"
REASON_UPSTREAM_ALREADY_RESOLVED: Final = "UpstreamAlreadyResolved"
REASON_AGENT_NOT_FOUND: Final = "AgentNotFound"
REASON_DEPENDENCY_ABSENT: Final = "DependencyAbsent"
REASON_CLAIM_EXPIRED: Final = "ClaimExpired"
REASON_CLAIM_EXPIRY_LIMIT_REACHED: Final = "ClaimExpiryLimitReached"

# AgenticTask reasons, agent.
REASON_CLAIMED: Final = "Claimed"
REASON_AGENT_RESTART_RECOVERY: Final = "AgentRestartRecovery"
REASON_EXECUTOR_SUCCEEDED: Final = "ExecutorSucceeded"
REASON_EXECUTOR_ERROR: Final = "ExecutorError"
REASON_EXECUTOR_CONTRACT_VIOLATION: Final = "ExecutorContractViolation"
REASON_TERMINAL_PATCH_REJECTED: Final = "TerminalPatchRejected"

# FleetNode.
CONDITION_READY: Final = "Ready"
REASON_HEARTBEAT_FRESH: Final = "HeartbeatFresh"
REASON_HEARTBEAT_STALE: Final = "HeartbeatStale"

# Workload (CONDITION_COMPLETED is shared with AgenticTask).
CONDITION_PLANNED: Final = "Planned"
CONDITION_DISPATCHED: Final = "Dispatched"
CONDITION_TRUNCATED: Final = "Truncated"
CONDITION_CLOUD_REVIEWERS_SUPPRESSED: Final = "CloudReviewersSuppressed"
CONDITION_ESCALATION_TRIGGERED: Final = "EscalationTriggered"
CONDITION_CODER_ESCALATION_TRIGGERED: Final = "CoderEscalationTriggered"
CONDITION_REVIEW_ITERATION_TRIGGERED: Final = "ReviewIterationTriggered"
CONDITION_CODER_ALREADY_RESOLVED: Final = "CoderAlreadyResolved"
CONDITION_NAME_TAKEN: Final = "NameTaken"
REASON_RENDERING: Final = "Rendering"
REASON_AGENT_RESOLVE_FAILED: Final = "AgentResolveFailed"

# Agent.
CONDITION_VALIDATED: Final = "Validated"
REASON_CONFIG_COMPLETE: Final = "ConfigComplete"
REASON_NO_SYSTEM_PROMPT: Final = "NoSystemPrompt"
REASON_MISSING_ROLE_TOOLS: Final = "MissingRoleTools"
