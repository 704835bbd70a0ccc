//! Cases told whole, through the front door: signed events in, what people see at strict services out; across restarts,
//! kills and clocks that jump, and with very many of them open.

mod cards;
mod clocks;
mod ends;
mod floods;
mod kills;
mod late;
mod many;
mod repeats;

mod stage;
mod told;
