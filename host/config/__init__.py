"""servers.toml, environment and flags as one frozen Config; every error names file, line and key.

`read_files` reads what applies here, `merge` joins it; between the two stands the user's consent to a project.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from host.config.environment import ADMIN_FILE, FILE_NAME, Environment, environment
from host.config.merge import choose_model, loosens, merge, tightening
from host.config.read import ConfigFile, read_file
from host.core.errors import ConfigError
from host.core.settings import Origin

__all__ = [
    "ConfigFile",
    "Environment",
    "choose_model",
    "environment",
    "file_places",
    "loosens",
    "merge",
    "read_files",
    "tightening",
]


def file_places(
    env: Environment, folder: Path, named: Sequence[Path] = (), admin: Path = ADMIN_FILE
) -> list[tuple[Path, Origin]]:
    """The files that apply in `folder`: admin, user and project; `named` ones (--config) stand for the latter two. What
    AGENT_HOST_ADMIN names is one more of the first kind: it can forbid, and takes nothing away."""
    places: list[tuple[Path, Origin]] = [(admin, "admin")] if admin.exists() else []
    places += [(env.agent_host_admin, "admin")] if env.agent_host_admin else []
    if named:
        return [*places, *((path, "user") for path in named)]
    project = folder / FILE_NAME
    places += [(env.user_file, "user")] if env.user_file.exists() else []
    if project.exists() and not (env.user_file.exists() and project.samefile(env.user_file)):
        places.append((project, "project"))
    return places


def read_files(
    env: Environment, folder: Path, named: Sequence[Path] = (), admin: Path = ADMIN_FILE
) -> list[ConfigFile]:
    """Read the files that apply in `folder`. Raises ConfigError with every problem of all of them."""
    files: list[ConfigFile] = []
    for path, origin in file_places(env, folder, named, admin):
        files.append(read_file(path, origin, os.environ, sum(len(file.rules) for file in files)))
    if wrong := [text for file in files for text in file.problems.texts()]:
        raise ConfigError(*wrong)
    return files
