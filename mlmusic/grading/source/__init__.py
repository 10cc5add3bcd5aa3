"""The source notebook: its cells, tasks, tests, and what students get of it."""
