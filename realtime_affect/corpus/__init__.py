"""Many recordings: each analysed once, on all cores of a machine or on many machines."""
