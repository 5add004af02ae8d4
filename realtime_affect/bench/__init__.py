"""The pipeline's speed on this machine: scenarios, what they measure, one table to pass on."""
