"""What becomes of readings: rows, events, video, lines, a summary."""
