use proptest::prelude::*;

use super::*;
use crate::listfile::parsed::MAX_ERRORS;

/// Reads text that comes in pieces of these sizes, and what is left of it.
fn in_pieces(text: &[u8], format: Format, sizes: &[usize]) -> Parsed {
    let (mut reader, mut rest) = (Reader::new(format), text);
    for size in sizes {
        let (piece, behind) = rest.split_at(rest.len().min(*size));
        reader.push(piece);
        rest = behind;
    }
    reader.push(rest);
    reader.end()
}

/// One text of each format, with something in it that cannot be read.
const TEXTS: [&str; 12] = [
    "\u{feff}# head\r\n\r\n192.0.2.1\r\n198.51.100.7/24 # é\nbogus\n2001:db8::/32",
    "ip,ttl,comment\n192.0.2.1,10m,\"a, b\"\n192.0.2.2,soon,\n",
    "create s hash:net\nadd s 192.0.2.0/24 timeout 300 comment \"x y\"\nadd s x\n",
    "; DROP\n1.10.16.0/20 ; SBL1\n{\"cidr\":\"192.0.2.1\"}\n",
    "\n\n{\n \"allowed_ips\": [\n{\"ip\":\"192.0.2.1\"},\n\"x\"]}\n",
    "[\"192.0.2.1\",\n\"é\"]",
    "table inet t {\n\tset s {\n\t\ttype ipv4_addr\n\t\telements = { 192.0.2.1 comment \"x, }\",\n192.0.2.3-192.0.2.9, x }\n\t}\n}\n",
    "{\"nftables\":[{\"set\":{\"family\":\"ip\",\"table\":\"t\",\"name\":\"s\",\"type\":\"ipv4_addr\",\n\"elem\":[\"192.0.2.1\",\n7]}}]}",
    "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j DROP\n-A INPUT -s \"\n-A INPUT -s 192.0.2.2/32 -p tcp -j DROP\nCOMMIT\n",
    "192.0.2.1 \t2026-11-23 13:53:27 + -1 = 9999-12-31 23:59:59\nbogus\n192.0.2.2 \t1969-01-01 00:00:00 + 6 = 1969-01-01 00:00:06\n",
    "[{'sshd': ['192.0.2.1', 'é']}, {'web': []}]\n",
    "[{\"decisions\":[{\"duration\":\"5s\",\"scope\":\"Ip\",\"type\":\"ban\",\"value\":\"192.0.2.1\"},\n{\"duration\":\"x\"}]}]",
];

proptest! {
    #[test]
    fn it_does_not_matter_where_a_file_is_cut(
        text in prop_oneof![proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned), any::<String>()],
        format in 0..Format::ALL.len(),
        sizes in proptest::collection::vec(0_usize..20, 0..20),
    ) {
        let format = Format::ALL[format];
        prop_assert_eq!(in_pieces(text.as_bytes(), format, &sizes), parse(&text, format));
    }
}

#[test]
fn two_who_read_at_once_find_what_one_finds() {
    let bad = "bogus\n".repeat(MAX_ERRORS);
    for text in TEXTS.map(str::to_owned).into_iter().chain([bad]) {
        let whole = parse(&text, Format::Auto);
        let starts: Vec<usize> = text.match_indices('\n').map(|(end, _)| end + 1).collect();
        for (first, second) in starts.iter().map(|start| text.split_at(*start)) {
            let mut reader = Reader::new(Format::Auto);
            reader.push(first.as_bytes());
            let told = matches!(reader.shape, Some(Shape::Lines { .. }));
            let Some(mut behind) = reader.behind() else {
                assert!(!told);
                continue;
            };
            assert!(told);
            behind.push(second.as_bytes());
            reader.join(behind);
            assert_eq!(reader.end(), whole, "{first:?} {second:?}");
        }
    }
}

#[test]
fn a_line_without_end_is_one_error_and_takes_no_memory() {
    let piece = vec![b'1'; 1 << 20];
    for format in Format::ALL {
        let mut reader = Reader::new(format);
        reader.push(b"\n");
        let documents = matches!(format, Format::Json | Format::Crowdsec);
        for _ in 0..100 {
            reader.push(&piece);
            assert!(documents || reader.held.capacity() <= 2 * MAX_HELD_BYTES);
        }
        let good: &[u8] = match format {
            Format::Json | Format::Crowdsec => continue,
            Format::Ipset => b"\nadd s 192.0.2.1\n",
            Format::Nft => b"\nset s {\ntype ipv4_addr\nelements = { 192.0.2.1 }\n}\n",
            Format::Iptables => b"\n-A INPUT -s 192.0.2.1/32 -j DROP\n",
            Format::Fail2ban => b"\n192.0.2.1 a b + -1 = c d\n",
            _ => b"\n192.0.2.1\n",
        };
        reader.push(good);
        let parsed = reader.end();
        let errors: Vec<_> = parsed.errors.iter().map(|error| error.line).collect();
        assert_eq!(errors, [2], "{format}");
        assert!(parsed.errors[0].reason.contains("more than 4096 bytes"));
        let lines: Vec<_> = parsed.lines.iter().map(|line| line.line).collect();
        let last = if format == Format::Nft { 5 } else { 3 };
        assert_eq!(lines, [last], "{format}");
    }
}

#[test]
fn blanks_without_end_do_not_hide_what_stands_behind_them() {
    let mut reader = Reader::new(Format::Auto);
    reader.push(b"192.0.2.1\n");
    reader.push(&vec![b' '; MAX_HELD_BYTES]);
    reader.push(b"192.0.2.2\n");
    let parsed = reader.end();
    assert_eq!((parsed.lines.len(), parsed.errors.len()), (1, 1));
}

#[test]
fn a_document_in_one_line_is_read_whole_and_has_an_end() {
    let document = format!("[{}\"::1\"]", "\"192.0.2.1\",".repeat(100_000));
    let parsed = in_pieces(document.as_bytes(), Format::Auto, &[1000; 20]);
    assert_eq!((parsed.format, parsed.lines.len()), (Format::Json, 100_001));

    let mut reader = Reader::new(Format::Auto);
    reader.push(b"\n[");
    let piece = vec![b' '; 1 << 20];
    for _ in 0..=MAX_DOCUMENT_BYTES >> 20 {
        reader.push(&piece);
    }
    reader.push(b"]");
    let [error] = &*reader.end().errors else {
        panic!("one error");
    };
    assert_eq!(
        (error.line, &*error.reason),
        (2, "a JSON document has at most 256 MiB")
    );
}

#[test]
fn errors_without_end_are_counted_and_no_longer_kept() {
    let parsed = parse(&"bogus\n".repeat(MAX_ERRORS + 7), Format::Auto);
    assert_eq!((parsed.errors.len(), parsed.more_errors), (MAX_ERRORS, 7));
    assert_eq!(parsed.errors[MAX_ERRORS - 1].line, MAX_ERRORS);
}

#[test]
fn what_is_not_utf8_spoils_a_prefix_and_no_note() {
    let text = b"192.0.2.1 # caf\xe9\n192.0.2.\xff\n192.0.2.3\n";
    let parsed = in_pieces(text, Format::Auto, &[]);
    let lines: Vec<_> = parsed.lines.iter().map(|line| line.line).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(parsed.lines[0].comment.as_str(), "caf\u{fffd}");
    assert_eq!(parsed.errors[0].line, 2);
}
