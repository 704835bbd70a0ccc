//! The retry schedule, the rate and the breaker, over all kinds of input.
