"""Frame -> Scene: faces detected, tracked, meshed, posed, aligned, their action units estimated."""
