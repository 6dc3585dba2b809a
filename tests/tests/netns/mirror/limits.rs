//! Rates, to the connection.

use std::{net::IpAddr, thread, time::Duration};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4, V6},
    netfilter::Backend,
    scanners::source_v6,
};

use super::{Layers, add, door::Door, lab, start, with_each_backend};

/// A connection in three seconds, and four at once.
const RATE: &str = "--rate 20/minute --burst 4";
const BURST: usize = 4;
const TOKEN: Duration = Duration::from_secs(3);

/// An address of the attacker in another /64 than all others.
fn another_network(lab: &Lab, number: u16) -> IpAddr {
    lab.open_range();
    let source = source_v6(number);
    lab.attacker
        .ip(&format!("address replace {source}/128 dev lo"));
    source
}

/// A source, one that shares its rate and one that does not, of each family.
fn sources(lab: &Lab) -> [(IpAddr, IpAddr, IpAddr); 2] {
    [
        (V4.free, V4.free, V4.above),
        (V6.free, V6.above, another_network(lab, 7)),
    ]
}

fn each_source_has_its_burst_and_then_its_rate(backend: Backend) {
    for layers in [Layers::MirrorAlone, Layers::Both] {
        let lab = lab(backend);
        let sources = sources(&lab);
        let (tcp, udp) = (Door::tcp(&lab, 7000), Door::udp(&lab, 7000));
        let (other, doors) = (Door::tcp(&lab, 7001), [&tcp, &udp]);
        let _daemon = start(&lab, backend, layers);
        for service in ["tcp/7000", "udp/7000"] {
            add(&lab, &format!("limit add {service} {RATE}"));
        }
        for (source, same, neighbour) in sources {
            for door in doors {
                assert_eq!(
                    door.admits_of(source, BURST + 3),
                    BURST,
                    "{source} {layers:?}"
                );
                assert!(!door.admits(same), "its network has no more {layers:?}");
                assert_eq!(
                    door.admits_of(neighbour, BURST + 3),
                    BURST,
                    "{neighbour} {layers:?}"
                );
            }
            assert_eq!(
                other.admits_of(source, 2 * BURST),
                2 * BURST,
                "another port"
            );
        }
        if layers == Layers::Both {
            continue;
        }
        thread::sleep(TOKEN + Duration::from_millis(300));
        for (source, ..) in sources {
            for door in doors {
                assert_eq!(door.admits_of(source, 3), 1, "{source}, a token later");
            }
        }
    }
}

fn rate_of_all_is_shared(backend: Backend) {
    for layers in [Layers::MirrorAlone, Layers::Both] {
        let lab = lab(backend);
        let neighbour = another_network(&lab, 8);
        let _daemon = start(&lab, backend, layers);
        let sources = [(V4.free, V4.above, 7004_u16), (V6.free, neighbour, 7006)];
        for (source, other, port) in sources {
            let door = Door::tcp(&lab, port);
            add(&lab, &format!("limit add tcp/{port} --per all {RATE}"));
            assert_eq!(door.admits_of(source, BURST - 1), BURST - 1, "{layers:?}");
            let rest = [other, source, other];
            assert_eq!(door.admitted(&rest), [other], "{layers:?}");
        }
    }
}

fn limit_of_some_sources_leaves_others_alone(backend: Backend) {
    let lab = lab(backend);
    let door = Door::tcp(&lab, 7000);
    let _daemon = start(&lab, backend, Layers::Both);
    let [v4, v6] = FAMILIES.map(|net| net.block);
    add(
        &lab,
        &format!("limit add tcp/7000 --from {v4} --from {v6} {RATE}"),
    );
    for net in FAMILIES {
        assert_eq!(door.admits_of(net.free, 3 * BURST), 3 * BURST);
        assert_eq!(door.admits_of(net.blocked, 3 * BURST), BURST);
    }
}

/// What was used stays used, unless the numbers change.
fn bucket_survives_other_changes(backend: Backend) {
    let lab = lab(backend);
    let door = Door::udp(&lab, 7000);
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    let rule = add(&lab, "limit add udp/7000 --rate 1/minute --burst 4");
    assert_eq!(door.admits_of(V4.free, BURST + 1), BURST);
    add(&lab, "port add tcp/2222 --drop");
    lab.fw(&["block", V4.block]).must(0);
    assert!(
        !door.admits(V4.free),
        "its bucket was filled by another rule"
    );
    lab.fw(&["limit", "del", &rule]).must(0);
    assert_eq!(door.admits_of(V4.free, 2 * BURST), 2 * BURST);
}

with_each_backend! {
    each_source_has_its_burst_and_then_its_rate
    rate_of_all_is_shared
    limit_of_some_sources_leaves_others_alone
    bucket_survives_other_changes
}
