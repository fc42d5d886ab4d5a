"""What the server tells its operators beside the log: metrics and traces."""
