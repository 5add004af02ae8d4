"""Networks behind one small interface: arrays in, arrays out."""
