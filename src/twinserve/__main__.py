"""``python -m twinserve``."""

from twinserve.cli import main

if __name__ == "__main__":
    main()
