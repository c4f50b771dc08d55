"""The hostile-answer drill: every service answers by a table of mutations, and nothing false may come of it."""
