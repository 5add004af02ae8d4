"""IFDD as published: the module, its training, its export."""
