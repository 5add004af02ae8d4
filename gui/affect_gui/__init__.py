"""The live window (PyQt6)."""
