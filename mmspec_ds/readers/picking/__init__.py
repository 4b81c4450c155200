"""From a measured curve to what a record holds: peak picking, integration and multiplets of NMR, axes and units
of IR. Arrays in, records out; files are the business of `mmspec_ds.readers`.

`nmr.pick_hydrogen` and `nmr.pick_carbon` are the entries for NMR, `infrared.to_grid` the one for IR.
"""
