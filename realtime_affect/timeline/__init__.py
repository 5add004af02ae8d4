"""A recording as one picture."""

from realtime_affect.timeline.plot import plot_timeline

__all__ = ["plot_timeline"]
