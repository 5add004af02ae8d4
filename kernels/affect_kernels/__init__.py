"""Array operations, each with a plain reference beside its fast forms."""
