"""Every benchmark, one after another: `make bench`."""

from bench import availability, create, deliver, get_one, lag, query, reach, shortfalls, writes

for benchmark in (get_one, writes, create, lag, query, deliver, reach, availability, shortfalls):
    benchmark.main()
