//! Reading the file, with a bar where somebody looks on.

use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    thread,
};

use indicatif::ProgressBar;

use crate::{
    api::wire::{Code, MAX_ITEMS, ProblemBody},
    cli::{failure::bad_input, import::database},
    listfile::{Format, Parsed, Reader, Reading, fail2ban::DATABASE},
};

/// Read at a time.
const PIECE: usize = 256 << 10;

/// Where prefixes come from.
pub struct Source {
    input: Input,
    path: PathBuf,
    /// As messages name it.
    name: String,
}

enum Input {
    /// A file, and its length.
    File(File, u64),
    /// Pipes and whatever else comes in its own time.
    Stream(Box<dyn Read>),
}

impl Source {
    /// Opens a file, or stdin for `-`.
    pub fn open(path: &Path) -> Result<Self, ProblemBody> {
        let name = name(path);
        let input = match path.to_str() {
            Some("-") => Ok(Input::Stream(Box::new(io::stdin()))),
            _ => open(path),
        };
        match input {
            Ok(input) => Ok(Self {
                input,
                path: path.to_owned(),
                name,
            }),
            Err(error) => Err(unreadable(&name, &error)),
        }
    }

    /// In bytes, where it is known before the end.
    pub fn length(&self) -> Option<u64> {
        match self.input {
            Input::File(_, length) => Some(length),
            Input::Stream(_) => None,
        }
    }

    /// Reads all of it; the bar counts the bytes.
    pub fn read(self, reading: Reading, bar: &ProgressBar) -> Result<Parsed, ProblemBody> {
        let parsed = match self.input {
            Input::File(file, _) if is_database(&file, &reading) => {
                database::read(&self.path, &file, &reading.now)
            }
            Input::File(file, length) => {
                let mut reader = Reader::new(reading);
                let read = in_two(&file, length, &mut reader, bar);
                read.map(|()| reader.end())
                    .map_err(|error| unreadable(&self.name, &error))
            }
            Input::Stream(stream) => {
                let mut reader = Reader::new(reading);
                match stream_of(stream, &mut reader, bar) {
                    Ok(true) => Ok(reader.end()),
                    Ok(false) => Err(database_in_a_pipe(&self.name)),
                    Err(error) => Err(unreadable(&self.name, &error)),
                }
            }
        }?;
        match parsed.lines.len() > MAX_ITEMS {
            true => {
                let message = format!("{} has more than {MAX_ITEMS} prefixes", self.name);
                let hint = "split it: a list is changed whole or not at all, in one request";
                Err(ProblemBody::new(Code::TooLarge, message).with_hint(hint))
            }
            false => Ok(parsed),
        }
    }
}

/// Whether it is fail2ban's database, and may be.
fn is_database(file: &File, reading: &Reading) -> bool {
    let mut head = [0; DATABASE.len()];
    let format = reading.format;
    matches!(format, Format::Auto | Format::Fail2ban)
        && file.read_exact_at(&mut head, 0).is_ok()
        && head == *DATABASE
}

/// Reads what comes in its own time, unless it is a database.
fn stream_of(
    mut stream: Box<dyn Read>,
    reader: &mut Reader,
    bar: &ProgressBar,
) -> io::Result<bool> {
    let mut head = Vec::new();
    let length = DATABASE.len() as u64;
    stream.by_ref().take(length).read_to_end(&mut head)?;
    if head == DATABASE {
        return Ok(false);
    }
    reader.push(&head);
    each(reader, bar, |piece| stream.read(piece))?;
    Ok(true)
}

fn database_in_a_pipe(name: &str) -> ProblemBody {
    let message = format!("{name} is a database, which is no stream");
    bad_input(message).with_hint("name the file: fw-ctl import /var/lib/fail2ban/fail2ban.sqlite3")
}

fn open(path: &Path) -> io::Result<Input> {
    let file = File::open(path)?;
    let about = file.metadata()?;
    // Files of the kernel's own have a length only when they are read.
    Ok(match about.is_file() && about.len() > 0 {
        true => Input::File(file, about.len()),
        false => Input::Stream(Box::new(file)),
    })
}

/// Reads a file from its beginning and from its middle at once, where it is made of lines.
fn in_two(file: &File, length: u64, reader: &mut Reader, bar: &ProgressBar) -> io::Result<()> {
    let start = PIECE as u64;
    read_at(file, 0..start, reader, bar)?;
    let split = reader.behind().zip(line_from(file, start.max(length / 2))?);
    let Some((mut behind, middle)) = split else {
        return read_at(file, start..u64::MAX, reader, bar);
    };
    thread::scope(|scope| {
        let second = scope.spawn(|| read_at(file, middle..u64::MAX, &mut behind, bar));
        read_at(file, start..middle, reader, bar)?;
        let second = second.join();
        second.unwrap_or_else(|_| Err(io::Error::other("the reading broke off")))
    })?;
    reader.join(behind);
    Ok(())
}

/// Where the first line begins behind this place, if that is found in the next piece.
fn line_from(file: &File, place: u64) -> io::Result<Option<u64>> {
    let mut piece = vec![0; PIECE];
    let bytes = file.read_at(&mut piece, place)?;
    let end = piece[..bytes].iter().position(|byte| *byte == b'\n');
    Ok(end.map(|end| place + end as u64 + 1))
}

fn read_at(
    file: &File,
    mut range: std::ops::Range<u64>,
    reader: &mut Reader,
    bar: &ProgressBar,
) -> io::Result<()> {
    each(reader, bar, |piece| {
        let most = usize::try_from(range.end - range.start).unwrap_or(PIECE);
        let most = most.min(piece.len());
        let bytes = file.read_at(&mut piece[..most], range.start)?;
        range.start += bytes as u64;
        Ok(bytes)
    })
}

/// Reads piece by piece, until nothing comes any more or there is too much.
fn each(
    reader: &mut Reader,
    bar: &ProgressBar,
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    while reader.prefixes() <= MAX_ITEMS {
        match read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => {
                reader.push(&piece[..bytes]);
                bar.inc(bytes as u64);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file as messages name it.
pub fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "stdin".to_owned(),
        _ => path.display().to_string(),
    }
}

fn unreadable(name: &str, error: &io::Error) -> ProblemBody {
    let code = match error.kind() {
        ErrorKind::PermissionDenied => Code::Permission,
        _ => Code::BadInput,
    };
    ProblemBody::new(code, format!("cannot read {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::listfile;

    #[test]
    fn a_file_is_read_as_its_text_is_wherever_it_is_split() {
        let line = |n: u32| format!("10.{}.{}.{} # {n}\n", n >> 16, n >> 8 & 255, n & 255);
        let lines: String = (0..60_000).map(line).collect();
        let one_line = format!("192.0.2.1\n{}", "x".repeat(3 * PIECE));
        let document = format!("[{}\"::1\"]", "\"192.0.2.1\",\n".repeat(60_000));
        let half = lines[..lines.len() / 2 + 3].to_owned();
        for text in [lines, half, one_line, document, "192.0.2.1".into()] {
            let mut file = tempfile::NamedTempFile::new().expect("a file");
            file.write_all(text.as_bytes()).expect("it can be written");
            let bar = ProgressBar::hidden();
            let source = Source::open(file.path()).expect("it is there");
            assert_eq!(source.length(), Some(text.len() as u64));
            let parsed = source.read(Format::Auto.into(), &bar);
            let parsed = parsed.expect("it can be read");
            assert!(parsed == listfile::parse(&text, Format::Auto));
            assert_eq!(bar.position(), text.len() as u64);
        }
    }
}
