//! The screen, drawn from the state alone.
//!
//! - [`head`]: how the firewall is, and the last minutes
//! - [`front`]: what stands in front of the panels

mod front;
mod head;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row as Cells, Table, TableState},
};

use super::state::{Panel, State};

/// From here on all panels are shown, below it the one that has the focus.
const ROOMY: (u16, u16) = (70, 20);

/// Which colours there are; what matters is said in words or by reversed text, too.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Colours may be used.
    pub colour: bool,
}

impl Look {
    fn paint(self, colour: Color) -> Style {
        match self.colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.paint(Color::Green)
    }

    fn bad(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn dim(self) -> Style {
        self.paint(Color::DarkGray)
    }
}

/// Draws everything.
pub fn draw(state: &State, look: Look, frame: &mut Frame<'_>) {
    let area = frame.area();
    let head = head::lines(state, look);
    let [top, rates, panels, foot] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Length((area.height / 6).clamp(1, 6)),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head), top);
    head::rates(state, look, frame, rates);
    match area.width >= ROOMY.0 && area.height >= ROOMY.1 {
        true => all(state, look, frame, panels),
        false => panel(state, state.focus, look, frame, panels),
    }
    frame.render_widget(Paragraph::new(footer(state, look)), foot);
    front::draw(state, look, frame);
}

fn all(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let [dropped, scans, events] = Layout::vertical([
        Constraint::Fill(4),
        Constraint::Fill(3),
        Constraint::Fill(4),
    ])
    .areas(area);
    let [sources, ports] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(22)])
        .spacing(2)
        .areas(dropped);
    panel(state, Panel::Sources, look, frame, sources);
    let rows: Vec<Vec<String>> = state.ports().into_iter().map(Vec::from).collect();
    let block = titled("Ports dropped".to_owned(), look.dim());
    frame.render_widget(table(&rows).block(block), ports);
    panel(state, Panel::Scans, look, frame, scans);
    panel(state, Panel::Events, look, frame, events);
}

fn panel(state: &State, panel: Panel, look: Look, frame: &mut Frame<'_>, area: Rect) {
    let rows = state.rows(panel);
    let is_focused = state.focus == panel;
    let style = match is_focused {
        true => Style::new().add_modifier(Modifier::BOLD),
        false => look.dim(),
    };
    let mark = if is_focused { "> " } else { "" };
    let mut title = format!("{mark}{}", title(state, panel));
    if !state.filter.is_empty() {
        title += &format!(", those with \"{}\"", state.filter);
    }
    let chosen = (is_focused && !rows.is_empty()).then(|| state.chosen(panel, &rows));
    let cells: Vec<Vec<String>> = rows.into_iter().map(|row| row.cells).collect();
    let table = table(&cells)
        .block(titled(title, style))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut place = TableState::new().with_selected(chosen);
    frame.render_stateful_widget(table, area, &mut place);
}

fn title(state: &State, panel: Panel) -> String {
    let sampled = &state.sampled;
    match panel {
        Panel::Sources => format!(
            "Sources dropped, {} samples in {} s",
            sampled.samples, sampled.window_s
        ),
        Panel::Scans => match &state.scan {
            Some(scan) => format!("Scans in progress, {} watched", scan.watched),
            None => "Scans in progress".to_owned(),
        },
        Panel::Events => "Events".to_owned(),
    }
}

fn titled(title: String, style: Style) -> Block<'static> {
    Block::new()
        .borders(Borders::TOP)
        .border_style(style)
        .title(Line::from(title + " ").style(style))
}

/// Columns as wide as what stands in them; the last takes what is left.
fn table(rows: &[Vec<String>]) -> Table<'_> {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| Span::raw(cell).width() as u16);
        widths.max().unwrap_or_default()
    };
    let widths = (0..columns).map(|column| match column + 1 == columns {
        true => Constraint::Fill(1),
        false => Constraint::Length(widest(column)),
    });
    let cells = rows
        .iter()
        .map(|row| Cells::new(row.iter().map(String::as_str)));
    Table::new(cells, widths.collect::<Vec<_>>()).column_spacing(2)
}

fn footer(state: &State, look: Look) -> Line<'_> {
    match &state.notice {
        _ if state.typing => Line::from(format!("/{}_", state.filter)),
        Some((text, true)) => Line::styled(text.as_str(), look.good()),
        Some((text, false)) => Line::styled(text.as_str(), look.bad()),
        None => {
            let keys = "? help  q quit  b block  a allow  u unblock  w why  / filter  p pause";
            Line::styled(keys, look.dim())
        }
    }
}

#[cfg(test)]
mod tests;
