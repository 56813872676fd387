"""The program as a process, a model that plays what the prompt says, and servers that note all they are told."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from model_server import ModelServer, script
from spoken import unframed

from host.core import events as ev
from host.store.log import read_log, verify

ROOT = Path(__file__).parent.parent.parent
SERVER = Path(__file__).parent / "noting_server.py"
KEEP = ("PATH", "LANG", "LC_ALL", "TMPDIR", "AGENT_HOST_NORMAL_EXIT", "PYTHON_KEYRING_BACKEND")
PATIENCE = 60
READS = "".join(
    f'tools.{name} = {{ effect = "read", open = false }}\n'
    for name in ("look", "gather", "wait", "meet", "both", "big", "mine", "fail", "raw", "moving")
)


def call(tool, id=None, **arguments):
    """A call as a turn of the played model has it."""
    return {"name": tool, "arguments": arguments, "id": id}


def turns(*steps):
    """A prompt: each step a text, or a list of calls. The first that answers as many results as there are is played."""
    return json.dumps([{"text": step} if isinstance(step, str) else {"calls": step} for step in steps])


def plays(body):
    """Decide by the last prompt."""
    said = [item for item in body["input"] if item.get("role") == "user"][-1]
    return script(json.loads(said["content"][-1]["text"]))(body)


def outputs(body):
    """What the model is given for each call since the prompt, by call id, in order."""
    return {item["call_id"]: item["output"] for item in body["input"] if item.get("type") == "function_call_output"}


def words(output):
    """A call's output as one text, without its frame."""
    return unframed(output if isinstance(output, str) else "".join(part.get("text", "") for part in output))


class Silence(AssertionError):
    """The program says nothing for too long."""


class Home:
    """A folder with a servers.toml, and the program run in it."""

    def __init__(self, folder, model=None):
        self.folder, self.model = folder, model
        folder.mkdir(parents=True, exist_ok=True)
        self.notes_file = folder / "notes"
        self.config = folder / "mine.toml"
        self.state = folder.with_name(f"{folder.name}.state")  # beside what servers may write
        self.env = {name: os.environ[name] for name in KEEP if name in os.environ}
        self.env |= {"HOME": str(folder), "AGENT_HOST_HOME": str(self.state), "PYTHONPATH": str(ROOT)}

    def write(self, *servers, more="", key="none-needed"):
        """`servers` are texts of [mcp_servers.NAME] tables; `more` stands behind them."""
        url = self.model.base_url if self.model else "http://127.0.0.1:9/v1"
        head = f'model = "mine/m"\n[providers.mine]\nwire = "responses"\nbase_url = "{url}"\napi_key = "{key}"\n'
        self.config.write_text(head + "".join(servers) + more)
        return self

    def server(self, name="s", more="", argument="", env=""):
        """The noting server under a name."""
        values = f'NOTES = "{self.notes_file}"' + (f", {env}" if env else "")
        return (
            f'[mcp_servers.{name}]\ncommand = "python"\nargs = ["{SERVER}", "{argument}"]\nenv = {{ {values} }}\n'
            f'sandbox = "workspace"\npaths = ["{self.folder}"]\n{READS}{more}\n'
        )

    def command(self, *arguments):
        return [sys.executable, "-m", "host", "--config", str(self.config), "--trust", *map(str, arguments)]

    def run(self, *arguments, stdin="", **more):
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.env | more, input=stdin, text=True,
            capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments, code=0, **more):
        """The object that `run --output-format json` prints."""
        done = self.run("run", "--output-format", "json", *arguments, **more)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def notes(self):
        if not self.notes_file.exists():
            return []
        return [json.loads(line) for line in self.notes_file.read_text().splitlines()]

    def calls(self, name=None):
        """The calls that the servers got, in order."""
        return [note for note in self.notes() if "call" in note and name in (None, note["call"])]

    def events(self, session):
        """The stored log of a session, which must be whole, as it would be printed."""
        damages = verify(self.state, session)[1]
        assert damages == [], damages
        rows = [ev.Recorded(session, r.seq, r.at, ev.decode(r.kind, r.body)) for r in read_log(self.state, session)]
        return [json.loads(ev.envelope(row)) for row in rows]

    @contextmanager
    def talk(self, *arguments, **more):
        """A conversation over stream-json. Whoever leaves it with the process alive has it killed."""
        talk = Talk(self, arguments, more)
        try:
            yield talk
        finally:
            talk.kill()


class Talk:
    """One process spoken to over stream-json. `lines` are all that it printed."""

    def __init__(self, home, arguments, more):
        streams = ("--input-format", "stream-json", "--output-format", "stream-json")
        self.errors = home.folder / "stderr"
        with self.errors.open("wb") as stderr:
            self.process = subprocess.Popen(
                home.command("run", *streams, *arguments), cwd=home.folder, env=home.env | more,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )  # fmt: skip
        self.lines = []
        self._news = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._news.put(json.loads(line))
        self._news.put(None)

    def send(self, **command):
        self.send_line(json.dumps(command))

    def send_line(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def say(self, *steps):
        self.send(kind="say", text=turns(*steps))

    def next(self, patience=PATIENCE):
        """The next line; None when there are no more."""
        try:
            line = self._news.get(timeout=patience)
        except queue.Empty:
            raise Silence(f"silence after {self.lines[-3:]}: {self.errors.read_text()[-1000:]}") from None
        if line is not None:
            self.lines.append(line)
        return line

    def until(self, kind, **fields):
        """Read on to the line of this kind with these fields."""
        while (line := self.next()) is not None:
            if line["kind"] == kind and fields.items() <= line.items():
                return line
        raise AssertionError(f"no {kind} {fields} among {self.lines[-5:]}: {self.errors.read_text()[-1000:]}")

    def end(self):
        """Close stdin, read to the end; the exit code."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        while self.next() is not None:
            pass
        code = self.process.wait(PATIENCE)
        assert "Traceback" not in self.errors.read_text(), self.errors.read_text()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()

    def of(self, kind, **fields):
        """The lines of a kind so far."""
        return [line for line in self.lines if line["kind"] == kind and fields.items() <= line.items()]


@contextmanager
def playing(folder, *servers, more="", decide=plays):
    """A home with a model, and by default one server `s`."""
    with ModelServer(decide) as model:
        home = Home(folder, model)
        home.write(*(servers or (home.server(),)), more=more)
        yield home


def gone(pid):
    """Wait until a process is no more; whether it went."""
    end = time.monotonic() + 8
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False
