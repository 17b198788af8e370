"""Claims about the port, the Tradovate adapter and the simulator."""
