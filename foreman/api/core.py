"""The built-in kinds that Foreman uses: Lease (leader election), ConfigMap (audit records, policies), Event (the news)."""

from __future__ import annotations

from typing import ClassVar, Literal

from .meta import Int32, MicroTime, Model, Positive, Resource, Time
from .workload import ObjectReference


class LeaseSpec(Model):
    holder_identity: str = ""
    lease_duration_seconds: Positive | None = None
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: Int32 = 0


class Lease(Resource):
    GROUP: ClassVar[str] = "coordination.k8s.io"
    VERSION: ClassVar[str] = "v1"
    PLURAL: ClassVar[str] = "leases"

    api_version: Literal["coordination.k8s.io/v1"] = "coordination.k8s.io/v1"
    kind: Literal["Lease"] = "Lease"
    spec: LeaseSpec = LeaseSpec()


class ConfigMap(Resource):
    GROUP: ClassVar[str] = ""
    VERSION: ClassVar[str] = "v1"
    PLURAL: ClassVar[str] = "configmaps"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("cm",)

    api_version: Literal["v1"] = "v1"
    kind: Literal["ConfigMap"] = "ConfigMap"
    data: dict[str, str] = {}


class EventSource(Model):
    component: str = ""
    host: str = ""


class KubeEvent(Resource):
    """An Event of core/v1, as `kubectl describe` shows it; `type` is Normal or Warning."""

    GROUP: ClassVar[str] = ""
    VERSION: ClassVar[str] = "v1"
    PLURAL: ClassVar[str] = "events"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("ev",)

    api_version: Literal["v1"] = "v1"
    kind: Literal["Event"] = "Event"
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    count: Int32 = 0
    first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    event_time: MicroTime | None = None
    source: EventSource = EventSource()
    reporting_component: str = ""
    reporting_instance: str = ""
    action: str = ""
