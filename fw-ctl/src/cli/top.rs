//! `top`: what happens now, on one screen.
//!
//! - [`state`], [`keys`]: what the screen knows, and what keys and answers change; pure
//! - [`history`], [`rows`]: the last minutes, and the rows of the panels
//! - [`view`]: drawn from that; pure
//! - [`remote`]: the daemon, the keyboard, signals

mod history;
mod keys;
mod remote;
mod rows;
mod state;
mod view;

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use ratatui::{DefaultTerminal, crossterm::style::force_color_output};

use self::{
    remote::Remote,
    state::{Message, State},
    view::Look,
};
use crate::{
    api::wire::Status,
    cli::{Context, failure::bad_input},
};

/// `fw-ctl top`
pub fn run(context: &Context) -> Result<u8> {
    let no_screen = match (context.output.is_json(), io::stdout().is_terminal()) {
        (true, _) => Some("top is a screen and prints no JSON"),
        (false, false) => Some("top is a screen, and stdout is no terminal"),
        (false, true) => None,
    };
    if let Some(message) = no_screen {
        let hint = "`fw-ctl tail` prints events, `fw-ctl status` the state";
        return Err(bad_input(message).with_hint(hint).into());
    }
    // Whoever cannot reach the daemon at all is told so the usual way.
    let _there: Status = context.client.get("/status")?;
    let remote = Remote::start(&context.client)?;
    let look = Look {
        colour: context.output.has_colour(),
    };
    force_color_output(look.colour);
    // Also after a panic the terminal is as it was.
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let ended = show(&mut terminal, &remote, look);
    ratatui::restore();
    ended?;
    Ok(0)
}

fn show(terminal: &mut DefaultTerminal, remote: &Remote, look: Look) -> Result<()> {
    let mut state = State::default();
    while !state.ended {
        terminal.draw(|frame| view::draw(&state, look, frame))?;
        // All that has come meanwhile is drawn at once.
        let first = remote.messages.recv().unwrap_or(Message::Quit);
        for message in [first].into_iter().chain(remote.messages.try_iter()) {
            if let Some(request) = state.update(message, Timestamp::now()) {
                remote.ask(request);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
