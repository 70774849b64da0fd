"""Speed, memory, latency and quality, as tables; nothing here passes or fails."""
