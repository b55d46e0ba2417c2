"""`python -m pairspace`: the command line, as `torchrun -m pairspace train ...` starts it in several processes."""

from pairspace.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
