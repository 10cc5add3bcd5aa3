"""What makes a source fit for release, and how to start one."""
