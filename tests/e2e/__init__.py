"""Claims about the whole road, over real HTTP and WebSocket."""
