"""What must outlive the process: signals, lanes, orders, fills, trades and the audit."""
