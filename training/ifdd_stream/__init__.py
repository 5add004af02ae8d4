"""IFDD-Stream: the lifting scheme on features that every slot needs once."""
