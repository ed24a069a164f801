"""From gradients to new weights: clipping, optimisers, schedules of the rate, and averages of weights."""
