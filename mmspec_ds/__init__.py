"""mmspec-ds: read molecular structures out of spectra with sparse mixture-of-experts on DeepSpeed."""

__version__ = "0.1.0"
