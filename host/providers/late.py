"""Tools that stand in the conversation where they were found, so that what goes before stays as the provider has it."""

from __future__ import annotations

from host.core.settings import ModelProfile
from host.core.types import Message, ToolResult, ToolSpec
from host.providers.base import Request

Late = dict[str, ToolSpec]


def found_late(request: Request, profile: ModelProfile) -> Late:
    """The tools of the request that a result in its conversation brought, for a model that knows such tools."""
    if not profile.late_tools:
        return {}
    named = {name for message in request.messages for result in results(message) for name in result.found}
    return {spec.name: spec for spec in request.tools if spec.name in named}


def results(message: Message) -> list[ToolResult]:
    return [part for part in message.parts if isinstance(part, ToolResult) and part.found]


def brought(result: ToolResult, late: Late) -> list[ToolSpec]:
    """Takes from `late` what this result brings first."""
    return [spec for name in result.found if (spec := late.pop(name, None))]
