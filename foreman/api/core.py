"""The two built-in kinds that Foreman uses: Lease (leader election) and ConfigMap (audit records, policies)."""

from __future__ import annotations

from typing import ClassVar, Literal

from .meta import Int32, MicroTime, Model, Positive, Resource


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
