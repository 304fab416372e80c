"""`python -m coordinator_demo`."""

from coordinator_demo.cli import main

if __name__ == "__main__":
    main()
