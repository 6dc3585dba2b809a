//! How the firewall is, and the last minutes.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span},
    widgets::Sparkline,
};

use super::{
    super::{
        history::{Outcome, Series},
        state::State,
    },
    Look,
};
use crate::{
    api::wire::{Interface, Second, Status},
    cli::output::escape,
};

/// Two lines, and one for an alarm.
pub(super) fn lines<'a>(state: &State, look: Look) -> Vec<Line<'a>> {
    let mut first = vec![Span::styled(
        "fw-ctl",
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let mut flag = |text: String| first.push(Span::styled(format!("  {text}"), look.bad()));
    if state.away.is_some() {
        flag("NO ANSWER".to_owned());
    }
    if state.paused {
        flag("PAUSED".to_owned());
    }
    let Some(status) = &state.status else {
        return vec![Line::from(first), second_line(state, look)];
    };
    if status.observe {
        flag("OBSERVE: nothing is dropped".to_owned());
    }
    match status.alarms.len() {
        0 => {}
        1 => flag("1 alarm".to_owned()),
        count => flag(format!("{count} alarms")),
    }
    first.extend(status.interfaces.iter().map(|one| interface(one, look)));
    first.push(Span::raw(format!("  mirror {}", mirror(status))));
    first.push(Span::raw(format!("  scan {}", escape(&status.scan))));
    let mut lines = vec![Line::from(first), second_line(state, look)];
    let alarm = status.alarms.first();
    lines.extend(alarm.map(|alarm| Line::styled(escape(alarm).into_owned(), look.bad())));
    lines
}

fn interface<'a>(interface: &Interface, look: Look) -> Span<'a> {
    let name = escape(&interface.name);
    match (interface.attached, &interface.mode) {
        (true, Some(mode)) => Span::styled(format!("  {name} {}", escape(mode)), look.good()),
        (true, None) => Span::styled(format!("  {name}"), look.good()),
        (false, _) => Span::styled(format!("  {name} not attached"), look.bad()),
    }
}

fn mirror(status: &Status) -> String {
    let mirror = &status.mirror;
    match mirror.backend == "none" {
        true => "none".to_owned(),
        false => escape(&mirror.state).into_owned(),
    }
}

/// What passes and what does not, or why nobody knows.
fn second_line<'a>(state: &State, look: Look) -> Line<'a> {
    if let Some(why) = &state.away {
        return Line::styled(format!("{why}; asking again"), look.bad());
    }
    let Some(second) = state.history.last() else {
        return Line::from("counting");
    };
    let Second {
        pass,
        drop,
        observe,
        ..
    } = second;
    let mut text = format!("pass {pass}/s  drop {}/s", drop.values().sum::<u64>());
    if !observe.is_empty() {
        text += &format!("  observed {}/s", observe.values().sum::<u64>());
    }
    Line::from(text)
}

/// A line for each reason, as many as there is room for.
pub(super) fn rates(state: &State, look: Look, frame: &mut Frame<'_>, area: Rect) {
    const LABEL: u16 = 18;
    let width = area.width.saturating_sub(LABEL).into();
    let series = state.history.series(width);
    let rows = Layout::vertical(vec![Constraint::Length(1); area.height.into()]).split(area);
    for (series, row) in series.iter().zip(rows.iter()) {
        let [label, line] =
            Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(*row);
        let (name, style) = named(series, look);
        let text = format!("{name:<10}{:>5}/s ", short(series.now));
        frame.render_widget(Line::from(text), label);
        frame.render_widget(
            Sparkline::default().data(&series.columns).style(style),
            line,
        );
    }
}

fn named(series: &Series, look: Look) -> (String, Style) {
    let reason = escape(&series.reason);
    match series.outcome {
        Outcome::Pass => ("pass".to_owned(), look.good()),
        Outcome::Drop => (reason.chars().take(9).collect(), look.bad()),
        Outcome::Observe => (format!("({reason})").chars().take(9).collect(), look.dim()),
    }
}

/// At most five characters.
pub(super) fn short(number: u64) -> String {
    match number {
        0..=99_999 => number.to_string(),
        100_000..=9_999_999 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}
