//! REST over a Unix socket, of which the command line is a client, and over TCP where that is asked
//! for.
//!
//! - [`wire`]: what goes over the socket
//! - [`server`]: how connections come
//! - [`access`]: who may do what
//! - [`routes`]: the table of endpoints
//! - [`events`]: `GET /events`
//! - [`dashboard`]: a page that shows all of it
//! - [`openapi`]: what the API says of itself
//! - [`idempotency`]: a change that is sent twice
//! - [`metrics`]: `GET /metrics`
//! - [`body`]: what comes with a request
//! - [`query`]: what stands in its address
//! - [`reply`]: answers and failures

pub mod access;
pub mod body;
pub mod dashboard;
pub mod events;
pub mod idempotency;
pub mod metrics;
pub mod openapi;
pub mod query;
pub mod reply;
pub mod routes;
pub mod server;
pub mod wire;
