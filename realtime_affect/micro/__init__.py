"""Windows of stabilized crops -> facial events, spotted and classified."""
