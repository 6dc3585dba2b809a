//! What can be selected: a country, or an autonomous system.

use std::{fmt, str::FromStr};

/// A country by its two letters (ISO 3166-1, or what a file uses beside it: `XK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// As files write it: two letters of A to Z; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.0.map(char::from);
        write!(f, "{first}{second}")
    }
}

/// A country, or an autonomous system by its number. Countries come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// `DE`
    Country(Country),
    /// `AS64500`
    As(u32),
}

/// A text that is neither.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither a country (two letters A to Z: DE) nor an autonomous system (AS64500)")]
pub struct CodeError;

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        if let Some(country) = Country::new(text) {
            return Ok(Self::Country(country));
        }
        let digits = text.strip_prefix("AS").ok_or(CodeError)?;
        // `parse` takes a sign, too.
        match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().map(Self::As).map_err(|_| CodeError),
            false => Err(CodeError),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(country) => country.fmt(f),
            Self::As(number) => write!(f, "AS{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_two_letters_and_a_system_a_number_of_32_bits() {
        for text in ["DE", "AS", "XK", "AS0", "AS64500", "AS4294967295"] {
            let code: Code = text.parse().expect(text);
            assert_eq!(code.to_string(), text);
        }
        assert_eq!("AS007".parse(), Ok(Code::As(7)));
        for text in [
            "",
            "D",
            "de",
            "DEU",
            "D1",
            "ÄÖ",
            "Ä",
            "AS-1",
            "AS+1",
            "AS 1",
            "as1",
            "64500",
            "AS4294967296",
            "AS1.10",
        ] {
            assert_eq!(text.parse::<Code>(), Err(CodeError), "{text}");
        }
    }

    #[test]
    fn countries_stand_before_systems_and_those_by_their_numbers() {
        let mut codes: Vec<Code> = ["AS10", "KP", "AS9", "DE"]
            .map(|text| text.parse().expect(text))
            .to_vec();
        codes.sort();
        let texts: Vec<String> = codes.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["DE", "KP", "AS9", "AS10"]);
    }
}
