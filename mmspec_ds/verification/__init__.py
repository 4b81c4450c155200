"""Candidates checked against the measured spectra: what the simulator predicts for a molecule, and how well it
agrees with a record."""
