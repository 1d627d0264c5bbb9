"""Every benchmark, one after another: `make bench`."""

from bench import get_one, lag, writes

for benchmark in (get_one, writes, lag):
    benchmark.main()
