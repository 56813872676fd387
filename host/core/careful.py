"""What a person should look at twice before a program is started."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

SHELLS = ("sh", "bash", "zsh", "dash", "fish", "ksh", "powershell", "pwsh")
FETCHERS = {"npx": "npm", "bunx": "npm", "pnpx": "npm", "uvx": "PyPI", "pipx": "PyPI"}
_STEERS = re.compile(
    r"LD_.*|DYLD_.*|PYTHON(PATH|STARTUP|HOME)|NODE_OPTIONS|NODE_PATH|PERL5LIB|RUBYLIB|BASH_ENV|ENV|PATH"
)
_REACHES = frozenset({"curl", "wget", "nc", "ncat", "socat", "ssh", "scp", "rsync", "ftp", "telnet"})


def warnings(argv: Sequence[str], sets: Iterable[str] = ()) -> Iterator[str]:
    """What is dangerous about a command and the names of the variables that it is given, in words."""
    words = [word for text in argv for word in re.split(r"[\s;&|()`]+", text)]
    names = {word.rpartition("/")[2] for word in words}
    line = " ".join(argv)
    if names & {"sudo", "doas", "su", "pkexec"}:
        yield "it runs with the rights of another user, such as root"
    if names & {"rm", "shred", "dd", "mkfs"}:
        yield "it can delete or overwrite files"
    if re.search(r"\b(curl|wget)\b[^|]*\|", line):
        yield "it downloads a program and runs it unseen"
    elif argv and argv[0].rpartition("/")[2] in SHELLS:
        yield "it runs a line of shell, which can do anything that you can"
    if reaching := sorted(names & _REACHES):
        yield f"it talks to the network: {', '.join(reaching)}"
    if "--privileged" in argv or "docker.sock" in line:
        yield "its container is not shut in"
    if steering := sorted(name for name in sets if _STEERS.fullmatch(name)):
        yield f"it sets {', '.join(steering)}, which decides what code really runs"
    if argv and (registry := FETCHERS.get(argv[0].rpartition("/")[2])):
        package = next((word for word in argv[1:] if not word.startswith("-") and word != "run"), "")
        if package.endswith("@latest") or not re.search(r".@\d|==\d", package):
            yield f"each start fetches what {registry} calls {package or 'it'} that day; name a version to stay with it"
