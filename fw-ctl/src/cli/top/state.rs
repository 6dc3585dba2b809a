//! What the screen knows, and what follows from what happens. Pure: time is an argument, and what
//! the daemon is to be asked comes out as a [`Request`].

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::KeyEvent;

use super::history::History;
use crate::{
    api::wire::{Event, Sampled, ScanStatus, Stats, Status},
    cli::output::escape,
};

/// How often the daemon is asked.
const EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How long a notice stays.
const NOTICE: SignedDuration = SignedDuration::from_secs(8);
/// Events that are kept.
const EVENTS: usize = 500;

/// What happens.
#[derive(Debug)]
pub enum Message {
    /// Time passes.
    Tick,
    /// A key was pressed.
    Key(KeyEvent),
    /// The daemon has answered.
    Polled(Box<Polled>),
    /// The daemon does not answer, and why.
    Away(String),
    /// The daemon told something.
    Event(Box<Event>),
    /// What a change did, or why it was refused.
    Done(Result<String, String>),
    /// What becomes of packets from an address, in lines.
    Explained {
        /// The address that was asked for.
        address: String,
        /// The answer, or why there is none.
        lines: Result<Vec<String>, String>,
    },
    /// The screen is to end.
    Quit,
}

/// What is asked every second.
#[derive(Debug)]
pub struct Polled {
    /// `GET /status`
    pub status: Status,
    /// `GET /stats`
    pub stats: Stats,
    /// `GET /scan`
    pub scan: ScanStatus,
}

/// What the daemon is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is new since this second.
    Poll(Option<Timestamp>),
    /// To change something.
    Change(Change),
    /// Why packets from this address pass or do not.
    Why(String),
}

/// What to do with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drop what comes from it.
    Block,
    /// Let it pass, whatever blocks it.
    Allow,
    /// Take its blocks back.
    Unblock,
}

impl Action {
    /// As it is asked.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
            Self::Unblock => "unblock",
        }
    }
}

/// Seconds an entry may be chosen to live; the first is offered first.
pub const TTLS: [Option<u64>; 4] = [Some(3600), Some(86_400), None, Some(600)];

/// A change that the user has been asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub action: Action,
    /// Address or prefix.
    pub target: String,
    /// Which of [`TTLS`].
    pub ttl: usize,
}

/// What has rows to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Sources that are dropped.
    Sources,
    /// Sources that are counted by the scan detector.
    Scans,
    /// What happened.
    Events,
}

impl Panel {
    /// In the order of the tab key.
    pub const ALL: [Self; 3] = [Self::Sources, Self::Scans, Self::Events];
}

/// What stands in front of the panels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    /// Asks whether to do it.
    Confirm(Change),
    /// Explains an address; no lines before the answer came.
    Why {
        /// The address.
        address: String,
        /// The answer.
        lines: Option<Vec<String>>,
    },
    /// The keys.
    Help,
}

/// Everything that is drawn.
#[derive(Debug)]
pub struct State {
    /// The last answer; nothing before the first.
    pub status: Option<Status>,
    /// As `status`.
    pub scan: Option<ScanStatus>,
    /// Who is dropped, by samples.
    pub sampled: Sampled,
    /// Packets by the second.
    pub history: History,
    /// The latest first, each with a number of its own.
    pub events: VecDeque<(u64, Event)>,
    /// What came while the screen stood still.
    held: Vec<Event>,
    heard: u64,
    /// Why the daemon does not answer.
    pub away: Option<String>,
    /// The screen stands still.
    pub paused: bool,
    /// Only rows with this in them are shown.
    pub filter: String,
    /// The filter is being typed.
    pub typing: bool,
    /// Where the arrow keys go.
    pub focus: Panel,
    /// The chosen row of each panel, by its identity: rows come and go around it.
    pub(super) chosen: [Option<String>; 3],
    /// What stands in front.
    pub front: Option<Front>,
    /// What the last change did, and whether it went well.
    pub notice: Option<(String, bool)>,
    noticed: Timestamp,
    polling: bool,
    polled: Timestamp,
    /// The user has had enough.
    pub ended: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            status: None,
            scan: None,
            sampled: Sampled::default(),
            history: History::default(),
            events: VecDeque::new(),
            held: Vec::new(),
            heard: 0,
            away: None,
            paused: false,
            filter: String::new(),
            typing: false,
            focus: Panel::Sources,
            chosen: [None, None, None],
            front: None,
            notice: None,
            noticed: Timestamp::MIN,
            polling: false,
            polled: Timestamp::MIN,
            ended: false,
        }
    }
}

impl State {
    /// Takes in what happened; says what the daemon is to be asked.
    pub fn update(&mut self, message: Message, now: Timestamp) -> Option<Request> {
        match message {
            Message::Tick => return self.tick(now),
            Message::Key(key) => return self.press(key),
            Message::Polled(polled) => self.take(*polled),
            Message::Away(why) => {
                self.polling = false;
                self.away = Some(escape(&why).into_owned());
            }
            Message::Event(event) => match self.paused {
                true => self.hold(*event),
                false => self.hear(*event),
            },
            Message::Done(done) => {
                let is_good = done.is_ok();
                let text = done.unwrap_or_else(|error| error);
                self.notice = Some((escape(&text).into_owned(), is_good));
                self.noticed = now;
                // What follows from it is shown at once.
                self.polled = Timestamp::MIN;
            }
            Message::Explained { address, lines } => self.explain(&address, lines),
            Message::Quit => self.ended = true,
        }
        None
    }

    fn tick(&mut self, now: Timestamp) -> Option<Request> {
        if now.duration_since(self.noticed) > NOTICE {
            self.notice = None;
        }
        let is_due = now.duration_since(self.polled) >= EVERY;
        if self.paused || self.polling || !is_due {
            return None;
        }
        self.polling = true;
        self.polled = now;
        Some(Request::Poll(self.history.last().map(|last| last.time)))
    }

    fn take(&mut self, polled: Polled) {
        self.polling = false;
        self.away = None;
        if self.paused {
            return;
        }
        let Polled {
            status,
            stats,
            scan,
        } = polled;
        self.history.extend(stats.seconds);
        self.sampled = stats.sampled;
        self.status = Some(status);
        self.scan = Some(scan);
    }

    fn hear(&mut self, event: Event) {
        self.heard += 1;
        self.events.push_front((self.heard, event));
        self.events.truncate(EVENTS);
    }

    fn hold(&mut self, event: Event) {
        if self.held.len() == EVENTS {
            self.held.remove(0);
        }
        self.held.push(event);
    }

    /// Lets the screen stand still, or go on.
    pub(super) fn pause(&mut self) {
        self.paused = !self.paused;
        if !self.paused {
            for event in std::mem::take(&mut self.held) {
                self.hear(event);
            }
        }
    }

    fn explain(&mut self, asked: &str, answer: Result<Vec<String>, String>) {
        if let Some(Front::Why { address, lines }) = &mut self.front
            && address == asked
        {
            let answer = answer.unwrap_or_else(|error| vec![error]);
            let safe = answer.iter().map(|line| escape(line).into_owned());
            *lines = Some(safe.collect());
        }
    }
}
