"""A recording as one image."""

from realtime_affect.timeline.plot import plot_timeline

__all__ = ["plot_timeline"]
