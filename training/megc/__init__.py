"""Databases of brief facial movements, and the Micro-Expression Grand Challenge's figures."""
