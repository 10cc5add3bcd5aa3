"""What the course measures, one topic a module, each with its definition, units and source."""
