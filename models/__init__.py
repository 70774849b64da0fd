"""Networks: pure functions of (window, state), and the weights that belong to them."""

if __name__ == "models":
    raise ImportError("this package is vsr.models; install the project (make demo) and import vsr")
