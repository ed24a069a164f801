"""Experiment trackers: TensorBoard, Weights & Biases and MLflow, only when asked for, never on training's way."""
