//! Faults of everything that Fanfare stands on: disks, clocks, destinations, limits. Nothing that was acknowledged is lost,
//! nobody waits for somebody else, and it says what is wrong.

mod clock;
mod disk;
mod limits;
mod log;
mod loops;
mod memory;
mod month;
mod patience;
mod places;
mod recipients;
mod rounds;
mod tasks;
