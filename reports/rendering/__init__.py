"""From a verdict to what people and programs read: pages, writers, the terminal."""
