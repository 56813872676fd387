"""The lower bound: the same work on bare asyncio sockets and pipes. No SDK, no log, no policy, no types.

Usage: floor.py BASE_URL SESSIONS PYTHON SERVER…
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

BASE, SESSIONS, SERVER = urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]


class Server:
    async def start(self) -> list[dict]:
        self.process = await asyncio.create_subprocess_exec(*SERVER, stdin=-1, stdout=-1)
        self.waiting: dict[int, asyncio.Future] = {}
        self.reader = asyncio.create_task(self.read())
        await self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}})
        return (await self.ask("tools/list", {}))["tools"]

    async def read(self) -> None:
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            self.waiting.pop(message["id"]).set_result(message["result"])

    async def ask(self, method: str, params: dict) -> dict:
        id = len(self.waiting) + 1
        while id in self.waiting:
            id += 1
        self.waiting[id] = asyncio.get_running_loop().create_future()
        future = self.waiting[id]
        self.process.stdin.write(
            json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n"
        )
        return await future


async def answer(reader: asyncio.StreamReader) -> list[dict]:
    """The output items of one streamed answer."""
    await reader.readuntil(b"\r\n\r\n")
    data = b""
    while size := int(await reader.readline(), 16):
        data += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    events = [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: ")]
    return events[-1]["response"]["output"]


async def session() -> str:
    server = Server()
    tools = [
        {
            "type": "function",
            "name": f"bench__{t['name']}",
            "description": t["description"],
            "parameters": t["inputSchema"],
        }
        for t in await server.start()
    ]
    items: list[dict] = [{"role": "user", "content": "go"}]
    reader, writer = await asyncio.open_connection(BASE.hostname, BASE.port)
    while True:
        body = json.dumps({"model": "m", "stream": True, "input": items, "tools": tools}).encode()
        head = f"POST {BASE.path}/responses HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        output = await answer(reader)
        items += output
        calls = [item for item in output if item["type"] == "function_call"]
        if not calls:
            break
        results = await asyncio.gather(
            *(
                server.ask(
                    "tools/call", {"name": c["name"].removeprefix("bench__"), "arguments": json.loads(c["arguments"])}
                )
                for c in calls
            )
        )
        for call, result in zip(calls, results, strict=True):
            items.append(
                {"type": "function_call_output", "call_id": call["call_id"], "output": result["content"][0]["text"]}
            )
    writer.close()
    server.process.stdin.close()
    await server.process.wait()
    return items[-1]["content"][0]["text"]


async def main() -> None:
    print(await asyncio.gather(*(session() for _ in range(SESSIONS))))


asyncio.run(main())
