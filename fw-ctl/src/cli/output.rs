//! The only way to stdout and stderr: data on the one, talk on the other.

use std::{
    borrow::Cow,
    env, fmt,
    io::{self, IsTerminal, Write},
};

use clap::ColorChoice;
use comfy_table::{ColumnConstraint, Table, Width, presets};
use serde::Serialize;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Text and tables for people.
    Human,
    /// One JSON object for programs.
    Json,
}

/// Where a verb prints.
pub struct Output {
    format: Format,
    quiet: bool,
    colour: bool,
}

impl Output {
    /// As the global flags ask for.
    pub fn new(format: Format, quiet: bool, color: ColorChoice) -> Self {
        let colour = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
                io::stdout().is_terminal() && !refused && !dumb
            }
        };
        Self {
            format,
            quiet,
            colour,
        }
    }

    /// For text that is shown elsewhere than on stdout.
    pub const fn plain() -> Self {
        Self {
            format: Format::Human,
            quiet: false,
            colour: false,
        }
    }

    /// Whether colours are shown.
    pub const fn has_colour(&self) -> bool {
        self.colour
    }

    /// Whether stdout carries JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person reads stdout as it is written.
    pub fn is_for_terminal(&self) -> bool {
        !self.is_json() && io::stdout().is_terminal()
    }

    /// Whether progress may be drawn on stderr.
    pub fn shows_progress(&self) -> bool {
        !self.is_json() && !self.quiet && io::stderr().is_terminal()
    }

    /// Prints data. A reader that went away has had enough: that is no failure.
    pub fn data(&self, text: &str) -> io::Result<()> {
        match self.stream(text) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Prints data for people or the value for programs, whichever is asked for.
    pub fn either<T: Serialize>(
        &self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Human => self.data(&human(value)),
            Format::Json => self.json(value),
        }
    }

    /// Prints the one object of `--json`.
    pub fn json<T: Serialize>(&self, value: &T) -> io::Result<()> {
        self.data(&serde_json::to_string(value)?)
    }

    /// Prints data of a stream, where a reader that went away ends the stream.
    pub fn stream(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let end: &[u8] = match text.is_empty() || text.ends_with('\n') {
            true => b"",
            false => b"\n",
        };
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.write_all(end))
            .and_then(|()| stdout.flush());
        written.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))
        })
    }

    /// Prints what a change did: nothing under `--quiet`, where the exit code says enough.
    pub fn done<T: Serialize>(
        &self,
        value: &T,
        human: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.format {
            Format::Human if self.quiet => Ok(()),
            _ => self.either(value, human),
        }
    }

    /// Says something on stderr, unless `--quiet`.
    pub fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            say(format_args!("{text}\n"));
        }
    }

    /// Warns on stderr, unless `--quiet`.
    pub fn warn(&self, text: impl fmt::Display) {
        self.note(format_args!("fw-ctl: warning: {text}"));
    }

    /// Green, where colours are shown.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Red, where colours are shown.
    pub fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// The end of a stream: that its reader went away is none.
pub fn unless_reader_left(printed: anyhow::Result<()>) -> anyhow::Result<()> {
    printed.or_else(|error| match error.downcast_ref::<io::Error>() {
        Some(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    })
}

/// Writes to stderr as it is; nobody can be told when that fails.
pub fn say(text: fmt::Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}

/// A table without lines: columns, then rows, no blanks at the ends.
pub fn table<const N: usize>(
    header: [&'static str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    Growing::new(header).rows(rows)
}

/// A [`table`] that is printed while it is read. Its columns get wider, and never narrower.
pub struct Growing<const N: usize> {
    /// Until it is printed.
    header: Option<[&'static str; N]>,
    widths: [u16; N],
}

impl<const N: usize> Growing<N> {
    /// Without rows yet.
    pub fn new(header: [&'static str; N]) -> Self {
        Self {
            header: Some(header),
            widths: [0; N],
        }
    }

    /// The header, if there were no rows to print it with.
    pub fn end(&mut self) -> String {
        match self.header {
            Some(_) => self.rows([]),
            None => String::new(),
        }
    }

    /// The next rows; the header above the first ones.
    pub fn rows(&mut self, rows: impl IntoIterator<Item = [String; N]>) -> String {
        const GAP: u16 = 2;
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if let Some(header) = self.header.take() {
            table.set_header(header);
        }
        table.add_rows(rows);
        let widths = table.column_max_content_widths();
        for (before, now) in self.widths.iter_mut().zip(widths) {
            *before = now.max(*before);
        }
        for (column, width) in table.column_iter_mut().zip(self.widths) {
            let width = Width::Fixed(width + GAP);
            column.set_padding((0, GAP));
            column.set_constraint(ColumnConstraint::LowerBoundary(width));
        }
        table.trim_fmt() + "\n"
    }
}

/// Text from the network or another user, made safe to print in one line of a terminal.
pub fn escape(text: &str) -> Cow<'_, str> {
    let moves = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(moves) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match moves(c) {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_escaped_and_text_is_left_alone() {
        for plain in ["", "office, Zürich", "a\\b \"c\"", "防火墙"] {
            assert!(matches!(escape(plain), Cow::Borrowed(text) if text == plain));
        }
        assert_eq!(escape("a\nb\x1b[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
        assert_eq!(escape("\u{9b}31m"), "\\u{9b}31m", "C1 control characters");
    }

    #[test]
    fn a_table_is_its_header_and_its_rows() {
        let rows = [["192.0.2.1", "x"], ["::", "yy"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["PREFIX", "B"], rows),
            "PREFIX     B\n192.0.2.1  x\n::         yy\n"
        );
        assert_eq!(table(["A", "B"], []), "A  B\n");
    }

    #[test]
    fn a_table_that_grows_has_one_header_and_columns_that_never_get_narrower() {
        let mut growing = Growing::new(["A", "B"]);
        let row = |a: &str| [[a.to_owned(), "x".to_owned()]];
        assert_eq!(growing.rows(row("long")), "A     B\nlong  x\n");
        assert_eq!(growing.rows(row("s")), "s     x\n");
        assert_eq!(growing.rows(row("longer")), "longer  x\n");
        assert_eq!(growing.rows(row("s")), "s       x\n");
        assert_eq!(growing.end(), "");
        assert_eq!(Growing::new(["A", "B"]).end(), "A  B\n");
    }

    #[test]
    fn colours_only_where_they_are_allowed() {
        let always = Output::new(Format::Human, false, ColorChoice::Always);
        let never = Output::new(Format::Human, false, ColorChoice::Never);
        assert_eq!(always.bad("drop"), "\x1b[31mdrop\x1b[0m");
        assert_eq!(always.good("pass"), "\x1b[32mpass\x1b[0m");
        assert_eq!(never.bad("drop"), "drop");
    }
}
