"""The fences of the house: who may import whom, and where the outer libraries live."""

import ast
from pathlib import Path

HOST = Path(__file__).parent.parent / "host"
FLOORS = {
    "core": set(),
    "providers": {"core"},
    "servers": {"core"},
    "store": {"core"},
    "engine": {"core", "providers", "servers", "store"},
    "frontends": {"core"},
}
OUTER = {
    "textual": "frontends/tui",
    "rich": "frontends/tui",
    "mcp": "servers",
    "mcp_types": "servers",
    "openai": "providers",
    "anthropic": "providers",
    "sqlite3": "store",
}
STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
QUESTIONS = {"isatty", "fileno", "encoding", "flush"}
IMPURE = {"anyio", "asyncio", "time", "random", "secrets", "socket", "subprocess", "os", "threading", "tempfile"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms() -> list[tuple[Path, str, set[str]]]:
    paths = sorted(HOST.rglob("*.py"))
    return [(path, path.relative_to(HOST).as_posix(), imports(path)) for path in paths if "_share" not in path.parts]


def test_each_floor_imports_only_the_floors_below_it():
    wrong = [
        f"{name} imports {imported}"
        for _, name, found in rooms()
        for imported in found
        if (floor := name.split("/")[0]) in FLOORS
        and imported.startswith("host.")
        and (below := imported.split(".")[1]) not in FLOORS[floor] | {floor, "__version__"}
        and below != floor
    ]
    assert wrong == []


def test_outer_libraries_stay_in_their_room():
    wrong = [
        f"{name} imports {imported}"
        for _, name, found in rooms()
        for imported in found
        if (home := OUTER.get(imported.split(".")[0])) and not name.startswith(home + "/")
    ]
    assert wrong == []


def test_core_does_no_io():
    wrong = [
        f"{name} imports {imported}"
        for _, name, found in rooms()
        for imported in found
        if name.startswith("core/") and imported.split(".")[0] in IMPURE
    ]
    opens = [
        f"{name} calls open"
        for path, name, _ in rooms()
        if name.startswith("core/")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]
    awaits = [
        name
        for path, name, _ in rooms()
        if name.startswith("core/") and any(isinstance(n, ast.Await) for n in ast.walk(ast.parse(path.read_text())))
    ]
    assert wrong + opens + awaits == []


def test_only_one_door_writes_to_stdout_and_stderr():
    """Behind it nothing can steer a terminal. What reads results apart is another process: its stdout is our pipe."""
    wrong = [
        f"{name}:{line}"
        for path, name, _ in rooms()
        if name not in ("frontends/plain.py", "servers/apart.py")
        for line in writes(ast.parse(path.read_text()))
    ]
    assert wrong == []


def test_only_one_module_makes_cells_of_text():
    """Behind it nothing is markup, hides or steers. Widgets that take any text stand in two modules of their own."""
    makers = {
        "textual.content": {"frontends/tui/cells.py"},
        "textual.visual": set(),
        "textual.markup": set(),
        "textual.widgets": {"frontends/tui/cells.py", "frontends/tui/drawn.py", "frontends/tui/fields.py"},
        "rich": {"frontends/tui/fields.py", "frontends/tui/app.py"},
    }
    wrong = [
        f"{name} imports {imported}"
        for _, name, found in rooms()
        for imported in found
        for maker, homes in makers.items()
        if f"{imported}.".startswith(f"{maker}.") and name not in homes
    ]
    drawn = [
        f"{name}:{node.lineno} draws another thing"
        for path, name, _ in rooms()
        for node in ast.walk(ast.parse(path.read_text()))
        if name.startswith("frontends/tui/") and isinstance(node, ast.FunctionDef)
        if node.name.startswith("render") and (node.returns is None or ast.unparse(node.returns) != "Drawing")
    ]
    titles = [
        f"{name}:{node.lineno} sets {node.attr}"
        for path, name, _ in rooms()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if node.attr in ("border_title", "border_subtitle", "tooltip") and name != "frontends/tui/question.py"
    ]
    assert wrong + drawn + titles == []


def writes(tree: ast.AST) -> list[int]:
    """The lines where a stream is used for more than a question about it."""
    asked = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in QUESTIONS}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS and id(node) not in asked)
        or (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.ImportFrom) and node.module == "sys")
    ]


def test_demos_do_not_import_the_host():
    demos = HOST.parent / "scripts" / "demos"
    wrong = [str(p) for p in demos.rglob("*.py") if any(i.split(".")[0] == "host" for i in imports(p))]
    assert wrong == []
