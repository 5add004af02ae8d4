"""The live window (PyQt6)."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
