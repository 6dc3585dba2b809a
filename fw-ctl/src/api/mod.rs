//! api

pub mod wire;
