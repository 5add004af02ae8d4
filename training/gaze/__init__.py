"""The network that tells where eyes look: taught by the iris network, twenty times cheaper."""
