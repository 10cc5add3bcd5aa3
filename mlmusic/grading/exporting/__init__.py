"""Grades into the files of others: Canvas, Moodle, nbgrader, plagiarism checkers."""
