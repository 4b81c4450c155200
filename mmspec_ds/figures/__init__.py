"""Pictures of numbers and of molecules, for TensorBoard and for reports."""
