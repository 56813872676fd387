"""A house as an MCP server without any library, to be planned against. It remembers nothing."""

import json
import re
import sys

ROOMS = ["kitchen", "living room", "bedroom", "bathroom", "hall"]
DEVICES = [
    ("D-1", "Ceiling lamp", "kitchen", "light", "on"),
    ("D-2", "Floor lamp", "living room", "light", "off"),
    ("D-3", "Reading lamp", "living room", "light", "on"),
    ("D-4", "Bedside lamp", "bedroom", "light", "on"),
    ("D-5", "Roller blind", "bedroom", "blind", "open"),
    ("D-6", "Window blind", "kitchen", "blind", "closed"),
    ("D-7", "Heater", "bathroom", "heater", "on"),
    ("D-8", "Fan", "bathroom", "fan", "off"),
    ("D-9", "Front door", "hall", "lock", "locked"),
]
KEYS = ("device_id", "name", "room", "kind", "state")
ROWS = {row[0]: dict(zip(KEYS, row, strict=True)) for row in DEVICES}
SENSORS = {
    "kitchen": (20.5, 48, 700), "living room": (21.0, 45, 820), "bedroom": (18.5, 50, 900),
    "bathroom": (22.5, 61, 650), "hall": (17.0, 44, 500),
}  # fmt: skip
QUANTITIES = ["temperature", "humidity", "co2"]
REMINDERS = {"R-1": "Water the plants", "R-2": "Call the plumber"}


class Refused(Exception):
    pass


def device(device_id):
    if device_id not in ROWS:
        raise Refused(f"There is no device {device_id}.")
    return ROWS[device_id]


def list_devices(room=None, kind=None):
    found = [row for row in ROWS.values() if room in (None, row["room"]) and kind in (None, row["kind"])]
    return {"devices": found}


def read_sensor(room, quantity):
    return {"room": room, "quantity": quantity, "value": SENSORS[room][QUANTITIES.index(quantity)]}


def get_energy(day):
    return {"day": day, "kilowatt_hours": 9.4 if day == "2026-11-18" else 8.1}


def switch_light(device_id, on, brightness=100):
    if device(device_id)["kind"] != "light":
        raise Refused(f"{device_id} is no light.")
    return {"device_id": device_id, "state": "on" if on else "off", "brightness": brightness}


def delete_reminder(reminder_id):
    if reminder_id not in REMINDERS:
        raise Refused(f"There is no reminder {reminder_id}.")
    return {"deleted": reminder_id}


DEVICE = {"type": "string", "pattern": r"^D-\d+$", "description": "A device, such as D-3"}
ROOM = {"type": "string", "enum": ROOMS}
READ = {"readOnlyHint": True, "openWorldHint": False}
SET = {"readOnlyHint": False, "destructiveHint": False, "openWorldHint": False}
BREAK = {"readOnlyHint": False, "destructiveHint": True, "openWorldHint": False}
TOOLS = {
    "list_devices": (list_devices, "The devices of the house, all or those of a room or a kind.", READ,
        {"room": ROOM, "kind": {"type": "string", "enum": ["light", "blind", "heater", "fan", "lock"]}}, ()),
    "get_device": (device, "One device and the state it is in.", READ, {"device_id": DEVICE}, ("device_id",)),
    "read_sensor": (read_sensor, "What the sensors of a room measure now.", READ,
        {"room": ROOM, "quantity": {"type": "string", "enum": QUANTITIES}}, ("room", "quantity")),
    "get_energy": (get_energy, "Electricity that the house used on a day.", READ,
        {"day": {"type": "string", "format": "date"}}, ("day",)),
    "switch_light": (switch_light, "Switch a light on or off, or dim it.", SET,
        {"device_id": DEVICE, "on": {"type": "boolean"},
         "brightness": {"type": "integer", "minimum": 1, "maximum": 100, "description": "In percent"}},
        ("device_id", "on")),
    "set_temperature": (lambda room, celsius: {"room": room, "celsius": celsius},
        "Set the temperature that a room is heated to.", SET,
        {"room": ROOM, "celsius": {"type": "number", "minimum": 5, "maximum": 30}}, ("room", "celsius")),
    "move_blind": (lambda device_id, position: {"device_id": device(device_id)["device_id"], "state": position},
        "Open or close a window blind.", SET,
        {"device_id": DEVICE, "position": {"type": "string", "enum": ["open", "half", "closed"]}},
        ("device_id", "position")),
    "lock_door": (lambda device_id: {"device_id": device(device_id)["device_id"], "state": "locked"},
        "Lock a door.", SET, {"device_id": DEVICE}, ("device_id",)),
    "unlock_door": (lambda device_id: {"device_id": device(device_id)["device_id"], "state": "unlocked"},
        "Unlock a door.", BREAK, {"device_id": DEVICE}, ("device_id",)),
    "start_scene": (lambda scene: {"scene": scene, "started": True}, "Set many devices at once for an occasion.", SET,
        {"scene": {"type": "string", "enum": ["movie", "dinner", "night", "away"]}}, ("scene",)),
    "list_reminders": (lambda: {"reminders": [{"reminder_id": k, "text": v} for k, v in REMINDERS.items()]},
        "All reminders.", READ, {}, ()),
    "add_reminder": (lambda text, at: {"reminder_id": "R-3", "text": text, "at": at},
        "Remind of something at a time of day.", SET,
        {"text": {"type": "string"}, "at": {"type": "string", "pattern": r"^\d\d:\d\d$"}}, ("text", "at")),
    "delete_reminder": (delete_reminder, "Remove a reminder.", BREAK,
        {"reminder_id": {"type": "string", "pattern": r"^R-\d+$"}}, ("reminder_id",)),
}  # fmt: skip


def listed(name):
    _, description, annotations, properties, required = TOOLS[name]
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"name": name, "description": description, "inputSchema": schema, "annotations": annotations}


def called(params):
    run, _, _, properties, _ = TOOLS[params["name"]]
    arguments = params.get("arguments") or {}
    for name, value in arguments.items():
        pattern = properties[name].get("pattern", "")
        if not re.search(pattern, str(value)):
            return {"content": [{"type": "text", "text": f"{name} does not fit"}], "isError": True}
    try:
        given = run(**arguments)
    except Refused as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    return {"content": [{"type": "text", "text": json.dumps(given)}], "structuredContent": given, "isError": False}


def answer(method, params):
    match method:
        case "initialize":
            info = {"name": "house", "version": "1.0"}
            return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
        case "tools/list":
            return {"tools": [listed(name) for name in TOOLS]}
        case "tools/call":
            return called(params)
        case "ping":
            return {}
    return None


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(message["method"], message.get("params") or {})
        end = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **end}), flush=True)


if __name__ == "__main__":
    main()
