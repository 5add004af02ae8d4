"""What results mean: compounds, valence and arousal, reasons, episodes; pure functions."""
