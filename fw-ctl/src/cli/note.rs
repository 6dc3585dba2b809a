//! How long something stays, and a note about it: what entries and rules have in common.

use crate::{
    api::wire::ProblemBody, cli::failure::bad_input, duration::Ttl, policy::entry::Comment,
};

/// What `block`, `allow` and every rule take.
#[derive(Debug, clap::Args)]
pub struct Note {
    /// How long: 90s, 10m, 4h, 1d, 1w, 1h30m, never
    #[arg(
        long,
        value_name = "DUR",
        default_value = "never",
        hide_default_value = true
    )]
    ttl: Ttl,
    /// A note of one line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    comment: String,
}

impl Note {
    /// Seconds it stays; `None` for ever.
    pub fn ttl_s(&self) -> Option<u64> {
        self.ttl.secs()
    }

    /// The note, if it is one.
    ///
    /// # Errors
    /// It is too long, or no line of printable text.
    pub fn comment(&self) -> Result<String, ProblemBody> {
        let comment: Result<Comment, _> = self.comment.parse();
        let comment = comment.map_err(|error| bad_input(format!("--comment: {error}")))?;
        Ok(comment.as_str().to_owned())
    }
}
