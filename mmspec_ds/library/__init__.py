"""A library of spectra of known molecules: kept on disk, searched by vectors and by peaks. Knows no model."""
