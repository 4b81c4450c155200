"""A set of any size as shards: prepared once by many processes, read by memory map while a model trains.

plan        which rows of which files make which shard; the same on every machine
encode      from batches of a file's columns to tokens
rows        what a shard holds, and its file
distinct    which molecules have been seen
workers     processes that write shards
prepare     all of it together: `mmspec prepare`
folder      a prepared folder: whole, and fit for a run
dataset     the samples of one split, as training reads them
"""
