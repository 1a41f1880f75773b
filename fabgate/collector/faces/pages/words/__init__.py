"""Names, labels, durations and states, as pages write them."""
