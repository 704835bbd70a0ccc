//! Numbers, money, sums and times.
