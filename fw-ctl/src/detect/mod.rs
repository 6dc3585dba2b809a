//! What the kernel's reports mean. Pure: no clock, no file, no socket; time is an argument.
//!
//! The kernel counts, decides and blocks by itself. Here is what it cannot know: who a source has
//! been before, whether its address may be forged, how many blocks are in force.
//!
//! - [`settings`]: what can be configured
//! - [`offenders`]: who scanned, how often, and how long each stays blocked
//! - [`sentence`]: what the kernel reports, and what it comes to
//! - [`escalation`]: how long a block lasts, and when an offence is forgotten
//! - [`caps`]: how many blocks the kernel may write by itself
//! - [`blocks`]: what the list `auto` holds, sources of one network rolled up
//! - [`rollup`]: networks of sources, and the holes in them
//! - [`served`]: which ports are served, or were until just now
//! - [`ports`]: ports as people write them, and sets of them

pub mod adaptive;
pub mod blocks;
pub mod caps;
pub mod escalation;
pub mod offenders;
pub mod ports;
pub mod rollup;
pub mod sentence;
pub mod served;
pub mod settings;
