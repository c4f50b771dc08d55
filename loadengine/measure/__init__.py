"""What was measured: samples, histograms, operations in flight, and the generator's own health."""
