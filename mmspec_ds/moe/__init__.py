"""The sparse layer: router, experts of unequal width, expert parallelism, auxiliary losses, curriculum.

`mmspec_ds.moe.deepspeed_layer`, which needs DeepSpeed, is imported by those who train.
"""
