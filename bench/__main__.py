"""Every benchmark, one after another: `make bench`."""

from bench import availability, create, deliver, get_one, lag, writes

for benchmark in (get_one, writes, create, lag, deliver, availability):
    benchmark.main()
