"""How a process runs: settings, the Faust app, consuming, logs, health."""
