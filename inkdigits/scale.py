"""`inkdigits.scale` is the public name of `inkdigits.reading.cluster`."""

from inkdigits.reading.cluster import DigitReader, Shard, Summary, find_shards, read_dataset

__all__ = ["DigitReader", "Shard", "Summary", "find_shards", "read_dataset"]
