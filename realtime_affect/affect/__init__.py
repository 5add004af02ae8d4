"""Scene -> AffectSnapshot: clips per face, and what is estimated beside the frame-rate path."""
