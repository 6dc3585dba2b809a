//! What of a source file is code: comments, strings and tests are blanked, and every line keeps
//! its number.

use std::{iter::Peekable, str::Chars};

/// The code without its comments and without what its strings and characters hold.
pub fn without_comments(text: &str) -> String {
    let mut blank = Blanker {
        chars: text.chars().peekable(),
        code: String::with_capacity(text.len()),
    };
    while let Some(c) = blank.chars.next() {
        blank.after(c);
    }
    blank.code
}

/// Comment-free code without the items marked `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, marked) = rest.split_at(start);
        let (item, after) = marked.split_at(item_length(marked));
        kept.push_str(before);
        kept.extend(item.chars().filter(|c| *c == '\n'));
        rest = after;
    }
    kept + rest
}

/// Where the item ends: at its semicolon, or at the brace that closes its body.
fn item_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

struct Blanker<'a> {
    chars: Peekable<Chars<'a>>,
    code: String,
}

impl Blanker<'_> {
    /// Handles one character outside comments and strings, and what it opens.
    fn after(&mut self, c: char) {
        let in_name = self
            .code
            .ends_with(|c: char| c.is_alphanumeric() || c == '_');
        match (c, self.chars.peek()) {
            ('/', Some('/')) => self.skip_line(),
            ('/', Some('*')) => self.skip_block(),
            ('"', _) => self.skip_string(),
            ('r', Some('"' | '#')) if !in_name || self.code.ends_with('b') => self.skip_raw(),
            ('\'', _) => self.skip_character(),
            _ => self.code.push(c),
        }
    }

    fn skip_line(&mut self) {
        while self.chars.next_if(|c| *c != '\n').is_some() {}
    }

    fn skip_block(&mut self) {
        let mut depth = 1;
        self.chars.next();
        while depth > 0 {
            match self.skip() {
                Some('/') if self.chars.next_if_eq(&'*').is_some() => depth += 1,
                Some('*') if self.chars.next_if_eq(&'/').is_some() => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn skip_string(&mut self) {
        self.code.push_str("\"\"");
        loop {
            match self.skip() {
                Some('\\') => drop(self.skip()),
                Some('"') | None => return,
                Some(_) => {}
            }
        }
    }

    /// A raw string, or a name that only begins like one (`r#type`).
    fn skip_raw(&mut self) {
        let mut hashes = 0;
        while self.chars.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        if self.chars.next_if_eq(&'"').is_none() {
            return;
        }
        self.code.push_str("\"\"");
        let mut closing = None;
        while closing != Some(hashes) {
            closing = match (self.skip(), closing) {
                (Some('"'), _) => Some(0),
                (Some('#'), Some(seen)) => Some(seen + 1),
                (Some(_), _) => None,
                (None, _) => return,
            };
        }
    }

    /// A character such as `'"'`; a lifetime is left as it is.
    fn skip_character(&mut self) {
        let mut ahead = self.chars.clone();
        match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => {
                self.skip();
                self.skip();
                while self.skip().is_some_and(|c| c != '\'') {}
            }
            (Some(_), Some('\'')) => {
                self.skip();
                self.skip();
            }
            _ => {}
        }
        self.code.push('\'');
    }

    /// The next character, of which only a line break is kept.
    fn skip(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.code.push('\n');
        }
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(without_comments("a // std::fs\nb"), "a \nb");
        assert_eq!(without_comments("a /* x /* y\n */ z */ b"), "a \n b");
        assert_eq!(without_comments(r#"f("// \" std::fs", b)"#), r#"f("", b)"#);
        assert_eq!(without_comments("f(br##\"a\"#\n\"##, b)"), "f(b\"\"\n, b)");
    }

    #[test]
    fn characters_open_no_string_and_lifetimes_are_code() {
        assert_eq!(
            without_comments(r#"a('"', '\'', '\u{22}', b'"') // c"#),
            "a(', ', ', b') "
        );
        assert_eq!(
            without_comments("fn f<'a>(x: &'a str) // c"),
            "fn f<'a>(x: &'a str) "
        );
    }

    #[test]
    fn tests_are_cut_out_and_lines_keep_their_numbers() {
        let code = "a;\n#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nb;\n#[cfg(test)] use c;\nd;";
        assert_eq!(without_tests(code), "a;\n\n\n\n\nb;\n\nd;");
    }
}
