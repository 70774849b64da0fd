"""One film, or many, on several workers: GPUs of this machine, or the machines of a Ray cluster."""
