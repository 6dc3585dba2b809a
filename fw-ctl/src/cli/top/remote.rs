//! The daemon and the terminal, each in threads of its own that send what happens.

use std::{
    sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use ratatui::crossterm::event;
use tokio::signal::unix::{SignalKind, signal};

use super::state::{Action, Change, Message, Polled, Request, TTLS};
use crate::{
    api::wire::{Batch, Changed, Put, PutItem, Why},
    cli::{
        changed,
        client::{Client, runtime, with_query},
        output::Output,
        why,
    },
};

/// Messages that may wait; who has more to say waits too.
const WAITING: usize = 1024;
/// Between two attempts to listen.
const RETRY: Duration = Duration::from_secs(1);
/// How often the state is told that time passes.
const TICK: Duration = Duration::from_millis(250);
/// What stands beside an entry that was made here.
const COMMENT: &str = "fw-ctl top";

/// Everything that happens, and where requests go. The threads end with the process.
pub struct Remote {
    /// What happens.
    pub messages: Receiver<Message>,
    requests: Sender<Request>,
}

impl Remote {
    /// Starts to listen to keys, signals and the daemon.
    ///
    /// # Errors
    /// Signals cannot be caught.
    pub fn start(client: &Client) -> Result<Self> {
        let (to, messages) = sync_channel(WAITING);
        let (requests, asked) = channel();
        end_by_signal(to.clone())?;
        let keys = to.clone();
        thread::spawn(move || while press(&keys).is_ok() {});
        let ticks = to.clone();
        thread::spawn(move || {
            while ticks.send(Message::Tick).is_ok() {
                thread::sleep(TICK);
            }
        });
        let (listening, events) = (client.clone(), to.clone());
        thread::spawn(move || listen(&listening, &events));
        let asking = client.clone();
        thread::spawn(move || {
            for request in asked {
                // The screen has ended, and the process does.
                if to.send(answer(&asking, request)).is_err() {
                    break;
                }
            }
        });
        Ok(Self { messages, requests })
    }

    /// Has the daemon asked; the answer comes as a message.
    pub fn ask(&self, request: Request) {
        // It is taken as long as the process lives.
        let _ = self.requests.send(request);
    }
}

/// Whoever ends us gets the terminal back in order.
fn end_by_signal(to: SyncSender<Message>) -> Result<()> {
    let runtime = runtime()?;
    let caught = |kind| signal(kind).context("cannot catch signals");
    let (mut terminate, mut interrupt, mut hangup, mut quit) = {
        let _entered = runtime.enter();
        (
            caught(SignalKind::terminate())?,
            caught(SignalKind::interrupt())?,
            caught(SignalKind::hangup())?,
            caught(SignalKind::quit())?,
        )
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
                _ = quit.recv() => {}
            }
        });
        to.send(Message::Quit)
    });
    Ok(())
}

fn press(to: &SyncSender<Message>) -> Result<()> {
    match event::read() {
        Ok(event::Event::Key(key)) if key.is_press() => to.send(Message::Key(key))?,
        // Another size: the next tick draws it.
        Ok(_) => {}
        // Without a keyboard nobody can end it.
        Err(_) => to.send(Message::Quit)?,
    }
    Ok(())
}

/// Tells events for ever; a daemon that goes away comes back.
fn listen(client: &Client, to: &SyncSender<Message>) {
    loop {
        let tell = |data: &str| {
            let event = serde_json::from_str(data)?;
            Ok(to.send(Message::Event(Box::new(event)))?)
        };
        // Why it failed is said by whoever polls.
        let _ = client.events("/events", tell);
        thread::sleep(RETRY);
    }
}

fn answer(client: &Client, request: Request) -> Message {
    let said = |error: anyhow::Error| format!("{error:#}");
    match request {
        Request::Poll(after) => {
            let after = after.map(|after| after.to_string());
            let polled = || {
                anyhow::Ok(Polled {
                    status: client.get("/status")?,
                    stats: client.get(&with_query("/stats", &[("after", after)]))?,
                    scan: client.get("/scan")?,
                })
            };
            match polled() {
                Ok(polled) => Message::Polled(Box::new(polled)),
                Err(error) => Message::Away(said(error)),
            }
        }
        Request::Change(change) => Message::Done(make(client, &change).map_err(said)),
        Request::Why(address) => Message::Explained {
            lines: explain(client, &address).map_err(said),
            address,
        },
    }
}

fn make(client: &Client, change: &Change) -> Result<String> {
    let put = Put {
        items: vec![PutItem {
            prefix: change.target.clone(),
            ttl_s: TTLS[change.ttl],
            comment: COMMENT.to_owned(),
            ..PutItem::default()
        }],
        ..Put::default()
    };
    let changed: Changed = match change.action {
        Action::Block => client.post("/blocks", &put)?,
        Action::Allow => client.post("/allows", &put)?,
        Action::Unblock => {
            let batch = Batch {
                unblock: vec![change.target.clone()],
                ..Batch::default()
            };
            client.post("/batch", &batch)?
        }
    };
    let what = changed::numbers(changed::counts(&changed));
    let told = format!("{} {}: {what}", change.action.name(), change.target);
    let parts: Vec<String> = [told].into_iter().chain(changed.warnings).collect();
    Ok(parts.join("; "))
}

fn explain(client: &Client, address: &str) -> Result<Vec<String>> {
    let query = [("address", Some(address.to_owned()))];
    let why: Why = client.get(&with_query("/why", &query))?;
    let text = why::text(&why, &Output::plain());
    Ok(text.lines().map(str::to_owned).collect())
}
