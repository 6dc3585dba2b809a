//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Action, Change, Front, Panel, Request, State, TTLS};

/// Longest filter.
const FILTER: usize = 64;

/// Rows of a page.
const PAGE: usize = 10;

/// What `?` shows.
pub const HELP: [(&str, &str); 12] = [
    ("tab", "next panel"),
    ("j k, arrows", "choose a row"),
    ("b", "block the source"),
    ("a", "allow the source"),
    ("u", "unblock the source"),
    ("w, enter", "why it passes or is dropped"),
    ("t", "another time, when asked"),
    ("/", "show only rows with a text"),
    ("esc", "close, or show all rows"),
    ("p, space", "stand still, go on"),
    ("?", "this help"),
    ("q, ctrl-c", "end"),
];

impl State {
    pub(super) fn press(&mut self, key: KeyEvent) -> Option<Request> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            self.ended |= key.code == KeyCode::Char('c');
            return None;
        }
        if self.typing {
            self.type_filter(key.code);
            return None;
        }
        match self.front.take() {
            Some(Front::Confirm(change)) => self.answer(key.code, change),
            Some(front) => {
                // Any other key is read by what is behind.
                let is_closed = matches!(
                    key.code,
                    KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q' | '?')
                );
                if is_closed {
                    return None;
                }
                let request = self.act(key.code);
                if self.front.is_none() && request.is_none() {
                    self.front = Some(front);
                }
                request
            }
            None => self.act(key.code),
        }
    }

    fn act(&mut self, code: KeyCode) -> Option<Request> {
        match code {
            KeyCode::Char('q') => self.ended = true,
            KeyCode::Char('?') => self.front = Some(Front::Help),
            KeyCode::Char('p' | ' ') => self.pause(),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(Panel::ALL.len() - 1),
            KeyCode::Down | KeyCode::Char('j') => self.choose(|at| at + 1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(|at| at.saturating_sub(1)),
            KeyCode::PageDown => self.choose(|at| at + PAGE),
            KeyCode::PageUp => self.choose(|at| at.saturating_sub(PAGE)),
            KeyCode::Home => self.choose(|_| 0),
            KeyCode::End => self.choose(|_| usize::MAX),
            KeyCode::Char('b') => self.ask(Action::Block),
            KeyCode::Char('a') => self.ask(Action::Allow),
            KeyCode::Char('u') => self.ask(Action::Unblock),
            KeyCode::Char('w') | KeyCode::Enter => return self.why(),
            _ => {}
        }
        None
    }

    /// Only `y` does it, so that no key pressed by mistake changes anything.
    fn answer(&mut self, code: KeyCode, change: Change) -> Option<Request> {
        match code {
            KeyCode::Char('y' | 'Y') => return Some(Request::Change(change)),
            KeyCode::Char('t') => {
                let ttl = (change.ttl + 1) % TTLS.len();
                self.front = Some(Front::Confirm(Change { ttl, ..change }));
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {}
            _ => self.front = Some(Front::Confirm(change)),
        }
        None
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(c) if self.filter.len() < FILTER => self.filter.push(c),
            _ => {}
        }
    }

    fn turn(&mut self, by: usize) {
        let all = Panel::ALL;
        self.focus = all[(self.focus as usize + by) % all.len()];
    }

    fn choose(&mut self, to: impl FnOnce(usize) -> usize) {
        let rows = self.rows(self.focus);
        let at = to(self.chosen(self.focus, &rows)).min(rows.len().saturating_sub(1));
        self.chosen[self.focus as usize] = rows.into_iter().nth(at).map(|row| row.id);
    }

    fn ask(&mut self, action: Action) {
        self.front = self.target().map(|target| {
            Front::Confirm(Change {
                action,
                target,
                ttl: 0,
            })
        });
    }

    fn why(&mut self) -> Option<Request> {
        let target = self.target()?;
        let address = target.split('/').next().unwrap_or(&target).to_owned();
        self.front = Some(Front::Why {
            address: address.clone(),
            lines: None,
        });
        Some(Request::Why(address))
    }

    /// The source of the chosen row.
    fn target(&self) -> Option<String> {
        let rows = self.rows(self.focus);
        let at = self.chosen(self.focus, &rows);
        rows.into_iter().nth(at)?.target
    }
}
