//! What `nft -f` reads.

use std::fmt::Write as _;

use super::{Lists, Quoted, SameName, Written, flat::flat, sets};
use crate::duration::Ttl;

/// Bytes of an element's comment.
const MAX_COMMENT_BYTES: usize = 128;

/// Sets `v4-LIST` and `v6-LIST` of the table `inet exported`. An interval set refuses elements that
/// overlap, and with `auto-merge` forgets their ends and comments; so they are cut into pieces that
/// do not, each with the latest end of all that cover it.
///
/// # Errors
/// Two lists have the same name for nft.
pub fn nft(lists: &Lists) -> Result<Written, SameName> {
    let mut text = String::from("# nft -f FILE\ntable inet exported {\n");
    let (mut quoted, mut covered, mut cut) = (Quoted::new(MAX_COMMENT_BYTES), 0, 0);
    for set in sets(lists)? {
        let kind = if set.v4 { "ipv4_addr" } else { "ipv6_addr" };
        let flat = flat(set.rows);
        (covered, cut) = (covered + flat.covered, cut + flat.cut);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\tset {} {{\n\t\ttype {kind}\n\t\tflags interval, timeout\n\t\telements = {{\n",
            set.name
        );
        for piece in &flat.pieces {
            let timeout = match piece.row.ttl {
                Ttl::Never => String::new(),
                Ttl::For(ttl) => format!(" timeout {}s", ttl.as_secs()),
            };
            let comment = quoted.of(&piece.row.comment);
            let _ = writeln!(text, "\t\t\t{piece}{timeout}{comment},");
        }
        text += "\t\t}\n\t}\n";
    }
    text += "}\n";
    let mut notes = quoted.notes("nft");
    for (count, what) in [
        (covered, "left out, as others cover them for as long"),
        (cut, "cut around others inside that last longer"),
    ] {
        if count > 0 {
            notes.push(format!("{count} entries are {what}: nft takes no overlaps"));
        }
    }
    Ok(Written { text, notes })
}
