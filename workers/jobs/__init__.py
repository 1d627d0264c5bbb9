"""What a schedule can set going: a module for each job, with `run(parts, config, now)`, which gives a summary as JSON."""
