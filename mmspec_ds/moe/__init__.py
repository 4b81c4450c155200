"""The sparse layer: router, experts of unequal width, expert parallelism, auxiliary losses, curriculum.

`mmspec_ds.moe.deepspeed_layer` needs DeepSpeed and is imported for training only.
"""
