"""Pages for people: feedback for students, grading by hand for instructors."""
