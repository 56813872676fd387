"""A home with a server whose tools are what a file says now (turning_server.py)."""

import json
from contextlib import contextmanager
from pathlib import Path

from playing import Home, playing

SERVER = Path(__file__).parent / "turning_server.py"


def tool(name, description="Looks.", **more):
    properties = {"tools": {"type": "array"}, "told": {"type": "boolean"}}
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": properties},
    } | more


@contextmanager
def turning(folder, *tools, reads=("look", "peek", "turn"), **more):
    """A home with a server that lists these tools; `reads` are said to read. While there is a file `wait` in the folder
    the server does not begin."""
    said = "".join(f'tools.{name} = {{ effect = "read", open = false }}\n' for name in reads)
    home = Home(folder)
    lists(home, *tools)
    entry = (
        f'[mcp_servers.s]\ncommand = "python"\nargs = ["{SERVER}"]\n'
        'sandbox = "off"\n'
        f'env = {{ NOTES = "{home.notes_file}", TOOLS = "{folder / "tools"}", WAIT = "{folder / "wait"}" }}\n{said}'
    )
    with playing(folder, entry, **more) as home:
        yield home


def lists(home, *tools):
    (home.folder / "tools").write_text(json.dumps(tools))
