"""`python -m metaloom`: the command line."""

from metaloom.cli import main

if __name__ == "__main__":
    main()
