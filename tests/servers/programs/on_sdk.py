#!/usr/bin/env python3
"""A server on the official SDK, as most servers are."""

from typing import Annotated

from mcp.server.mcpserver import Context, Elicit, MCPServer, Resolve
from pydantic import BaseModel

server = MCPServer("on-sdk")


class Weather(BaseModel):
    city: str
    degrees: float


class Choice(BaseModel):
    colour: str


@server.tool()
def weather(city: str) -> Weather:
    """The weather of a city."""
    return Weather(city=city, degrees=21.5)


@server.tool()
async def count(steps: int, ctx: Context) -> str:
    """Counts, and says how far it is."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps)
    return "counted"


def ask_colour() -> Elicit[Choice]:
    return Elicit("Which colour?", Choice)


@server.tool()
def paint(wall: str, choice: Annotated[Choice, Resolve(ask_colour)]) -> str:
    """Paints a wall in the colour that the user chooses."""
    return f"{wall} is {choice.colour}"


@server.resource("note://{name}")
def note(name: str) -> str:
    return f"the note {name}"


if __name__ == "__main__":
    server.run()
