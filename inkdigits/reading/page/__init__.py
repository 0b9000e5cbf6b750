"""A picture comes in, the symbols written in it go out: where each is, its ink and what it says."""
