"""`python -m host`: the same program as `agent-host`."""

import sys

from host.cli import main

sys.exit(main())
