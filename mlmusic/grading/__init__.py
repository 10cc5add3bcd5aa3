"""Exercises and their grading.

`release` makes the students' notebooks from a source, `grade` marks what a class hands in, `export`
hands the grades on: each is a command of the same name.

=============  ====================================================================
``source``     a source notebook: its cells, tasks and tests
``releasing``  what makes a source fit for release, and how to start one
``sandbox``    where students' code runs; ``codec``: what crosses, as values
``marking``    one submission: answers in the sandbox, tests on the trusted side
``runs``       a class: collect, mark side by side, resume, write down
``pages``      feedback for students, grading by hand for instructors
``exporting``  the files of Canvas, Moodle, nbgrader and plagiarism checkers
``checks``     ready helpers for tests of musical properties
=============  ====================================================================
"""
