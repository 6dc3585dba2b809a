//! What a packet costs.

use axum::{Json, extract::State};
use tokio::sync::Mutex;

use super::super::{
    reply::Reply,
    wire::{Bench, Code, ProblemBody},
};
use crate::daemon::{bench, handle::Handle};

/// Each measurement takes processor time that traffic may need: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

pub(super) async fn measure(State(handle): State<Handle>) -> Reply<Bench> {
    let Ok(_turn) = TURN.try_lock() else {
        let problem = ProblemBody::new(Code::Conflict, "a measurement is running");
        return Err(problem.with_hint("it takes a second: try again"));
    };
    bench::measure(&handle).await.map(Json)
}
