"""Read displayed facial affect from video in real time, on this device."""
