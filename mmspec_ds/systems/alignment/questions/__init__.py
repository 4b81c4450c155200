"""Questions with known answers: made from files, kept as JSON lines, read back as examples."""
