use proptest::prelude::*;

use super::*;

fn ports() -> impl Strategy<Value = Ports> {
    (any::<bool>(), 1..=u16::MAX, 0u16..200).prop_map(|(tcp, first, more)| Ports {
        protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
        first,
        last: first.saturating_add(more),
    })
}

#[test]
fn what_is_no_port_is_refused_with_its_reason() {
    for text in [
        "",
        "22",
        "tcp",
        "tcp/",
        "tcp/0",
        "tcp/0-9",
        "tcp/65536",
        "icmp/8",
        "TCP/22",
        "tcp/+22",
        "tcp/ 22",
        "tcp/22-",
        "tcp/-22",
        "tcp/22-23-24",
        "tcp/ssh",
        "tcp/٢",
    ] {
        let refused = text.parse::<Ports>();
        assert_eq!(refused, Err(PortsError::Form(text.to_owned())));
    }
    let turned = "tcp/90-80".parse::<Ports>();
    assert_eq!(turned, Err(PortsError::Order("tcp/90-80".to_owned())));
}

#[test]
fn neighbours_are_one_range_and_protocols_stay_apart() {
    let named = [
        "udp/53",
        "tcp/81",
        "tcp/80",
        "tcp/65535",
        "tcp/443-445",
        "udp/54",
    ];
    let set: PortSet = named
        .map(|text| text.parse::<Ports>().expect("ports"))
        .into_iter()
        .collect();
    let shown =
        |protocol| -> Vec<String> { set.ranges(protocol).iter().map(Ports::numbers).collect() };
    assert_eq!(shown(Protocol::Tcp), ["80-81", "443-445", "65535"]);
    assert_eq!(shown(Protocol::Udp), ["53-54"]);
    assert_eq!(
        format!("{set:?}"),
        r#"["tcp/80-81", "tcp/443-445", "tcp/65535", "udp/53-54"]"#
    );
}

#[test]
fn a_port_is_the_bit_the_kernel_looks_at() {
    let mut set = PortSet::default();
    set.insert(Protocol::Tcp, 22);
    set.insert(Protocol::Udp, 65_535);
    assert_eq!(set.words().len(), 2048);
    assert_eq!((set.words()[0], set.words()[2047]), (1 << 22, 1 << 63));
    set.remove(Protocol::Tcp, 22);
    assert_eq!(
        set.words()
            .iter()
            .map(|word| word.count_ones())
            .sum::<u32>(),
        1
    );
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(ports in ports()) {
        prop_assert_eq!(ports.to_string().parse(), Ok(ports));
    }

    #[test]
    fn no_text_makes_it_panic(text in "(tcp|udp)?/?[0-9-]{0,12}|\\PC{0,12}") {
        let _ = text.parse::<Ports>();
    }

    /// The set against a plain list.
    #[test]
    fn a_set_holds_what_was_put_in(all in prop::collection::vec(ports(), 0..8), port: u16) {
        let set: PortSet = all.iter().copied().collect();
        prop_assert_eq!(&PortSet::from_words(set.words().iter().copied()), &set);
        for protocol in Protocol::ALL {
            let named = all.iter().any(|ports| {
                ports.protocol == protocol && (ports.first..=ports.last).contains(&port)
            });
            prop_assert_eq!(set.contains(protocol, port), named);
            let again: PortSet = set.ranges(protocol).into_iter().collect();
            let gone: Vec<_> = set.without(&again).collect();
            prop_assert!(gone.iter().all(|(of, _)| *of != protocol), "{:?}", gone);
            prop_assert_eq!(again.without(&set).count(), 0);
        }
    }
}
