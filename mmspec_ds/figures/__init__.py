"""Pictures of numbers and of molecules, for TensorBoard and for reports; knows nothing of runs."""
