"""Every benchmark, one after another: `make bench`."""

from bench import create, deliver, get_one, lag, writes

for benchmark in (get_one, writes, create, lag, deliver):
    benchmark.main()
