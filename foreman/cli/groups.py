"""Options that belong together, as one value: a command takes a NamedTuple of options, its command line has them one by one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints


def grouped(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command, with each parameter that is a NamedTuple spread into options: those of its fields, defaults and all."""
    hints = get_type_hints(command, include_extras=True)
    spread: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for each in inspect.signature(command).parameters.values():
        kind: Any = hints[each.name]
        if hasattr(kind, "_field_defaults"):
            groups[each.name] = kind
            of_fields = get_type_hints(kind, include_extras=True)
            spread += [_option(name, of_fields[name], kind._field_defaults[name]) for name in kind._fields]
        else:
            spread.append(each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY))

    def run(**given: Any) -> Any:
        made = {name: group(**{field: given.pop(field) for field in group._fields}) for name, group in groups.items()}
        return command(**given, **made)

    # Typer reads what a command takes from these.
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in spread}
    return run


def _option(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
