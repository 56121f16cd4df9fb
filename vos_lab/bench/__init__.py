"""Speed and memory, measured: `vos-lab bench`."""
