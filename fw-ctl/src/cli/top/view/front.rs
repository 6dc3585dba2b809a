//! What stands in front of the panels.

use ratatui::{
    Frame,
    layout::{Constraint, Rect},
    text::Line,
    widgets::{Block, Clear, Paragraph, Wrap},
};

use super::{
    super::{
        keys::HELP,
        state::{Action, Change, Front, State, TTLS},
    },
    Look,
};
use crate::cli::scan::time;

/// Widest text.
const WIDTH: u16 = 78;

pub(super) fn draw(state: &State, look: Look, frame: &mut Frame<'_>) {
    let Some(front) = &state.front else { return };
    let (title, lines) = match front {
        Front::Confirm(change) => ("Sure?".to_owned(), question(change)),
        Front::Why { address, lines } => {
            let lines = lines.clone().unwrap_or_else(|| vec!["asking".to_owned()]);
            (format!("Why {address}"), lines)
        }
        Front::Help => {
            let line = |(key, what): &(&str, &str)| format!("{key:<12} {what}");
            ("Keys".to_owned(), HELP.iter().map(line).collect())
        }
    };
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
    let area = frame.area();
    let width = WIDTH.min(area.width);
    let height = rows(&lines, width.saturating_sub(2).into()) as u16 + 2;
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    let block = Block::bordered().title(title).border_style(look.good());
    let place = centred(area, width, height.min(area.height));
    frame.render_widget(Clear, place);
    frame.render_widget(text.block(block), place);
}

/// Rows that lines take at most when they are wrapped at words: of each row, a quarter may stay
/// empty.
fn rows(lines: &[Line<'_>], width: usize) -> usize {
    let filled = (width - width / 4).max(1);
    let rows = lines.iter().map(|line| match line.width() <= width {
        true => 1,
        false => line.width().div_ceil(filled),
    });
    rows.sum()
}

/// What exactly would be done.
fn question(change: &Change) -> Vec<String> {
    let Change {
        action,
        target,
        ttl,
    } = change;
    let for_how_long = match TTLS[*ttl] {
        Some(secs) => format!("for {}", time(secs)),
        None => "without end".to_owned(),
    };
    match action {
        Action::Unblock => vec![format!("unblock {target}?"), "y: yes   n: no".to_owned()],
        action => vec![
            format!("{} {target} {for_how_long}?", action.name()),
            "y: yes   n: no   t: another time".to_owned(),
        ],
    }
}

fn centred(area: Rect, width: u16, height: u16) -> Rect {
    area.centered(Constraint::Length(width), Constraint::Length(height))
}
