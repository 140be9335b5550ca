"""The special checks there are."""

from __future__ import annotations

from sim.checkers.attendance import Attendance
from sim.checkers.crowding import Crowding
from sim.checkers.endpoints import EndpointCheck
from sim.checkers.jobs import OneJob
from sim.checkers.keeping import CleanDeparture, EarnedEnd, StolenRun
from sim.checkers.leadership import Leadership
from sim.checkers.models import ModelCheck
from sim.checkers.nodes import Nodes
from sim.checkers.placing import Stranded, Urgency
from sim.checkers.recovery import Recovery
from sim.checkers.special import Check
from sim.checkers.upkeep import KeptConditions, ReconcileStorm
from sim.checkers.upstream import Upstream
from sim.checkers.waits import Waits
from sim.checkers.workloads import WorkloadCheck

SPECIAL: tuple[type[Check], ...] = (
    Upstream,
    Waits,
    Attendance,
    Nodes,
    Crowding,
    Leadership,
    Recovery,
    StolenRun,
    CleanDeparture,
    EarnedEnd,
    Stranded,
    Urgency,
    KeptConditions,
    ReconcileStorm,
    WorkloadCheck,
    EndpointCheck,
    ModelCheck,
    OneJob,
)
