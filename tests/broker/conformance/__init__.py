"""What any Tradovate must do for the adapter, and the adapter for us: one suite for the simulator and the real one."""
