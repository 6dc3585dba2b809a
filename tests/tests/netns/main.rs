//! The whole firewall, between network namespaces: a real daemon, a real link, real packets.
//!
//! A test proves what must be dropped, what must pass, and (when its lab is taken down) that
//! nothing is left behind.

mod agreement;
mod api;
mod attacks;
mod blocking;
mod bypass;
mod concurrency;
mod confirm;
mod cost;
mod dashboard;
mod feeds;
mod flood;
mod foreign;
mod gaps;
mod geo;
mod guard;
mod host;
mod hostile;
mod import;
mod init;
mod losses;
mod metrics;
mod mirror;
mod outside;
mod restart;
mod scan;
mod tail;
mod time;
mod top;
mod verbs;
mod webhooks;
