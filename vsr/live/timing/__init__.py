"""Clocks, the latency plan and the control of quality under overload."""
