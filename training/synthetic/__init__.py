"""Faces that nobody has: rendered from ICT-FaceKit Light (MIT), with exact ground truth."""
