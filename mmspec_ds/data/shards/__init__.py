"""Data sets of any size as shards: encoded once by many processes, memory-mapped in training.

plan        divide the rows of the files into shards
encode      encode the rows of a shard
rows        the content of a shard and its file format
distinct    find rows with the same molecule
prepare     `mmspec prepare`: write the shards, the splits and the manifest
folder      open and verify a prepared folder
dataset     the samples of one split
"""
