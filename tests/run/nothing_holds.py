"""Runs a program where no sandbox works: nothing_holds.py PROGRAM ARGUMENTS… Its kernel answers that it has no
Landlock, by a filter for system calls that all that come of it keep. With a PATH without bubblewrap nothing is left."""

import ctypes
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from host.servers.launch import CREATE_RULESET, NO_NEW_PRIVS, SECCOMP, Program, Step, checked, libc

NO_SUCH_CALL, ALLOWED = 0x00050000 | 38, 0x7FFF0000
FILTER = [(0x20, 0, 0, 0), (0x15, 0, 1, CREATE_RULESET), (0x06, 0, 0, NO_SUCH_CALL), (0x06, 0, 0, ALLOWED)]

program = Program(len(FILTER), (Step * len(FILTER))(*(Step(*step) for step in FILTER)))
checked(libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0))
checked(libc.prctl(SECCOMP, 2, ctypes.byref(program), 0, 0))
os.execv(sys.argv[1], sys.argv[1:])
