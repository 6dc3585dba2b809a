//! What is true: the only code that changes it.
//!
//! - [`xdp`]: the kernel's tables, program and links

pub mod xdp;
