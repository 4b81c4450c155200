"""Report about a run as one HTML page."""
