"""A grading run: hand-ins collected, marked side by side, written down."""
