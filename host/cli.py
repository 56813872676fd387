"""The program: reads the command line, runs one command, ends in good order with a documented code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from host.arguments import UsageError, parse

if TYPE_CHECKING:
    import argparse

DONE, INTERNAL, USAGE, CONFIG, AUTH, UNAVAILABLE, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 4, 7, 8, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Ends the process at once when all is closed, unless AGENT_HOST_NORMAL_EXIT=1."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    gc.disable()  # nothing that imports make is garbage; who stays turns it on again
    code = run(options)
    if os.environ.get("AGENT_HOST_NORMAL_EXIT") == "1":
        return code
    # Taking the interpreter down takes longer than many a run; everything of ours is closed and flushed by now.
    atexit._run_exitfuncs()
    for flush in (sys.stdout.flush, sys.stderr.flush):
        with suppress(OSError):  # what could not be written was told
            flush()
    os._exit(code)


def run(options: argparse.Namespace) -> int:
    """Run one command; its exit code. What went wrong is told on stderr."""
    try:
        if options.cd is not None:
            _change_folder(options)
        command = import_module(f"host.commands.{options.command or 'chat'}")
        code: int = command.main(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE  # whoever read our output had enough
    except KeyboardInterrupt:
        return INTERRUPTED
    except UsageError as error:
        return _told(USAGE, str(error))
    except Exception as error:
        return _failed(error, options)


def _change_folder(options: argparse.Namespace) -> None:
    try:
        os.chdir(options.cd)
    except OSError as error:
        raise UsageError(f"-C {options.cd}: {error.strerror}") from None


def _failed(error: Exception, options: argparse.Namespace) -> int:
    from host.core.errors import ConfigError, HostError, ProviderError, SessionError, StoreError
    from host.core.text import Secrets
    from host.frontends.plain import show

    leaves = list(_leaves(error))
    for leaf in leaves:
        match leaf:
            case UsageError():
                return _told(USAGE, str(leaf))
            case ConfigError():
                return _told(CONFIG, *leaf.lines)
            case ProviderError():
                return _told(AUTH if leaf.auth else UNAVAILABLE, str(leaf))
            case StoreError():
                return _told(_damage(options), str(leaf))
            case HostError() if not isinstance(leaf, SessionError):
                return _told(USAGE, str(leaf))
            case BrokenPipeError():
                return DONE
            case OSError(errno=errno.ENOSPC):
                return _told(INTERNAL, "no space is left where the output goes; free some, or send it elsewhere")
    # Values of variables are left out: they may hold what nobody should see. So may words that nobody foresaw.
    known = Secrets(getattr(options, "secrets", {}))
    for leaf in leaves:
        fault = leaf.__cause__ if isinstance(leaf, SessionError) and leaf.__cause__ else leaf
        show(*"".join(traceback.format_tb(fault.__traceback__)).splitlines() if options.verbose else ())
        words = str(leaf) if isinstance(leaf, SessionError) else f"{type(leaf).__name__}: {leaf}"
        _told(INTERNAL, known.clean(f"internal error: {words}"))
    return INTERNAL


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group of them, or the foreseen one that they came from, or the error itself."""
    from host.core.errors import HostError, SessionError

    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif isinstance(error, SessionError) and isinstance(error.__cause__, HostError):
        yield from _leaves(error.__cause__)
    else:
        yield error


def _damage(options: argparse.Namespace) -> int:
    """Whether the store failed because the log that was to be carried on is damaged."""
    if not options.resume:
        return INTERNAL
    from host.config import environment
    from host.store.log import verify

    return DAMAGED if verify(environment().state_folder, options.resume)[1] else INTERNAL


def _told(code: int, *lines: str) -> int:
    from host.frontends.plain import tell

    tell(*lines)
    return code
