"""TensorRT: plans built, stored and run; nothing here is imported where it is not asked for."""
