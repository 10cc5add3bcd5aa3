"""Exercises and their grading: `release` makes the students' notebooks from the solutions."""
