"""The modalities, a file each; `mmspec_ds.spectra.registry` lists them."""
