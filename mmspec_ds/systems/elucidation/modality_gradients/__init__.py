"""Training that treats the modalities' gradients unequally: OGM-GE, PCGrad and gradient blending.

Each is an `Objective` that changes the loss of a training step and nothing else: evaluation, saving and the
exported model are those of a plain training.
"""
