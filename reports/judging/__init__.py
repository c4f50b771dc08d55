"""From evidence to verdicts: reads a run's journal, never the process."""
