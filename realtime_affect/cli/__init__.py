"""The command line: one module a group of commands."""

import sys
from pathlib import Path

if Path(sys.argv[0]).name == "realtime-affect":
    # The console script imports its function first, which takes a moment: Ctrl-C ends that, too.
    from realtime_affect.cli.process import end_at_once_on_signals

    end_at_once_on_signals()
