"""`python -m metaloom`: the command line."""

from metaloom.entry import main

if __name__ == "__main__":
    main()
