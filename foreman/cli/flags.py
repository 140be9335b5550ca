"""Flags that several commands share, and how their values are read. Whatever cannot be read is refused in one line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from foreman.cli.refusal import refuse
from foreman.durations import duration

if TYPE_CHECKING:
    from foreman.kube.process import Program
    from foreman.kube.programs import Ground

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN_MAX = 253
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")

MetricsAddress = Annotated[str, typer.Option(metavar="ADDR", help="Where /metrics is served; 0: nowhere.")]
HealthAddress = Annotated[str, typer.Option(metavar="ADDR", help="Where /healthz and /readyz are served; 0: nowhere.")]
Kubeconfig = Annotated[
    str | None, typer.Option(metavar="FILE", help="Kubeconfig (default: $KUBECONFIG, the pod's, ~/.kube/config).")
]
KubeContext = Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig (default: current).")]
LogFormat = Annotated[
    str | None, typer.Option(metavar="json|console", help="Default: console on a terminal, else json.")
]
LogLevel = Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")]


def seconds(flag: str, text: str, *, at_least: float = 0.0) -> float:
    """The seconds of a duration such as 30s or 1m30s."""
    try:
        value = duration(text) / 1_000_000
    except ValueError as error:
        refuse(f"{flag}: {error}")
    if value < at_least:
        refuse(f"{flag}: {text} is too short, at least {at_least:g}s")
    return value


def choice(flag: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        refuse(f"{flag}: {text!r} is none of {', '.join(allowed)}")
    return text


def subdomain(text: str) -> bool:
    """Whether the API server takes it as the name of an object."""
    return len(text) <= SUBDOMAIN_MAX and all(LABEL.fullmatch(label) for label in text.split("."))


def node_name(flag: str, text: str) -> str:
    """A DNS subdomain, as the names of cluster nodes are ('ip-10-0-0-7.ec2.internal')."""
    if not subdomain(text):
        from foreman.agent.identity import sanitize_name

        refuse(f"{flag}: {text!r} is not a valid name (a-z, 0-9, - and .): try {sanitize_name(text)}")
    return text


def name(flag: str, text: str) -> str:
    """A DNS label, as names of namespaces must be."""
    if NAME.fullmatch(text) is None:
        from foreman.agent.identity import sanitize_name

        refuse(f"{flag}: {text!r} is not a valid name (a-z, 0-9 and -, at most 63): try {sanitize_name(text)}")
    return text


def labels(flag: str, text: str) -> dict[str, str]:
    """'k=v,k2=v2' as a dict."""
    from foreman.agent.identity import split_csv

    found = {}
    for pair in split_csv(text):
        key, equals, value = pair.partition("=")
        if not equals or LABEL_KEY.fullmatch(key) is None or LABEL_VALUE.fullmatch(value) is None:
            refuse(f"{flag}: {pair!r} is not a label: write key=value,key=value")
        found[key] = value
    return found


def ground(kubeconfig: str | None, context: str | None, health: str, metrics: str) -> Ground:
    from foreman.kube.health import parse_address
    from foreman.kube.programs import Ground

    addresses = {}
    for flag, text in (("--health-probe-bind-address", health), ("--metrics-bind-address", metrics)):
        try:
            addresses[flag] = parse_address(text)
        except ValueError as error:
            refuse(f"{flag}: {error}")
    return Ground(kubeconfig, context, *addresses.values())


def set_up_logs(style: str | None, level: str) -> None:
    from foreman.kube import logs

    if style is not None:
        choice("--log-format", style, logs.FORMATS)
    logs.set_up(style, choice("--log-level", level, logs.LEVELS))


def live(program: Program) -> NoReturn:
    """Run the program of a process to its end, and exit with its code."""
    from foreman.kube import process

    try:
        code = process.run(program)
    except process.Unusable as error:
        refuse(str(error))
    raise typer.Exit(code)
