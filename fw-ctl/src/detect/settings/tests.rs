use super::*;

fn with(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn the_defaults_are_within_their_own_bounds_and_drop_nothing() {
    let settings = Settings::default();
    assert_eq!(settings.validate(), Ok(()));
    assert_eq!(settings.mode, Mode::Observe);
}

#[test]
fn a_value_beyond_its_bounds_is_named_with_them() {
    for (settings, message) in [
        (with(|s| s.ports = 1), "ports is 1, but must be 2 to 64"),
        (with(|s| s.ports = 65), "ports is 65, but must be 2 to 64"),
        (
            with(|s| s.slow_ports = 65),
            "slow_ports is 65, but must be 2 to 64",
        ),
        (
            with(|s| s.ports = 21),
            "slow_ports is 20, but must be at least as many as ports, 21",
        ),
        (
            with(|s| s.window = secs(0)),
            "window is 0s, but must be 1s to 1h",
        ),
        (
            with(|s| s.window = secs(3601)),
            "window is 1h1s, but must be 1s to 1h",
        ),
        (
            with(|s| s.window = secs(3600)),
            "slow_window is 1h, but must be longer than window, 1h",
        ),
        (
            with(|s| s.slow_window = secs(86_401)),
            "slow_window is 1d1s, but must be 1s to 1d",
        ),
        (with(|s| s.ttl = secs(0)), "ttl is 0s, but must be 1s to 1d"),
        (
            with(|s| s.ttl = secs(3600)),
            "escalation is 1h, but must be longer than ttl, 1h",
        ),
        (
            with(|s| s.escalation = vec![secs(7200), secs(7200)]),
            "escalation is 2h, but must be longer than the step before, 2h",
        ),
        (
            with(|s| s.escalation = (1..18).map(|step| secs(600 + step)).collect()),
            "escalation is 17 steps long, but must be at most 16",
        ),
        (
            with(|s| s.escalation = vec![secs(31_449_601)]),
            "escalation is 52w1s, but must be 1s to 52w",
        ),
        (
            with(|s| s.forget = secs(0)),
            "forget is 0s, but must be 1s to 52w",
        ),
        (
            with(|s| s.grace = secs(3601)),
            "grace is 1h1s, but must be 1s to 1h",
        ),
        (
            with(|s| s.bait_weight = 0),
            "bait_weight is 0, but must be 1 to 20",
        ),
        (
            with(|s| s.v6_prefix = 47),
            "v6_prefix is 47, but must be 48 to 128",
        ),
        (
            with(|s| s.max_blocks = 0),
            "max_blocks is 0, but must be 1 to 50000",
        ),
        (
            with(|s| s.max_unproven = 10_001),
            "max_unproven is 10001, but must be 0 to 10000",
        ),
        (
            with(|s| s.unproven_per_minute = 10_001),
            "unproven_per_minute is 10001, but must be 0 to 10000",
        ),
        (
            with(|s| s.roll_up = 1),
            "roll_up is 1, but must be 0, or 2 to 256",
        ),
        (
            with(|s| s.roll_up = 257),
            "roll_up is 257, but must be 0, or 2 to 256",
        ),
    ] {
        let error = settings.validate().expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(message.starts_with(error.key));
    }
}

#[test]
fn the_bounds_themselves_are_good() {
    for settings in [
        with(|s| (s.ports, s.slow_ports) = (2, 2)),
        with(|s| (s.ports, s.slow_ports) = (64, 64)),
        with(|s| (s.window, s.slow_window) = (secs(3600), secs(86_400))),
        with(|s| (s.ttl, s.escalation) = (secs(86_400), Vec::new())),
        with(|s| (s.ttl, s.escalation) = (secs(1), vec![secs(2)])),
        with(|s| (s.max_blocks, s.max_unproven) = (1, 1)),
        with(|s| (s.max_unproven, s.unproven_per_minute) = (0, 0)),
        with(|s| s.roll_up = 0),
        with(|s| s.roll_up = 256),
        with(|s| s.v6_prefix = 128),
    ] {
        assert_eq!(settings.validate(), Ok(()));
    }
}

#[test]
fn a_mode_is_read_as_it_is_printed() {
    for mode in Mode::ALL {
        assert_eq!(mode.name().parse(), Ok(mode));
    }
    assert_eq!("drop".parse::<Mode>(), Err(ModeError("drop".to_owned())));
}

#[test]
fn what_is_set_stands_on_top_of_the_configuration() {
    let configured = with(|s| s.grace = secs(7));
    let set = Overrides {
        mode: Some(Mode::Enforce),
        ports: Some(30),
        ..Overrides::default()
    };
    let later = Overrides {
        ports: Some(25),
        ttl: Some(secs(7200)),
        ..Overrides::default()
    };
    let both = later.or(set);
    assert_eq!(both.names(), ["mode", "ports", "ttl"]);
    let settings = both.over(&configured);
    assert_eq!((settings.mode, settings.ports), (Mode::Enforce, 25));
    assert_eq!((settings.grace, settings.window), (secs(7), secs(60)));
    // What they outgrow goes along, so that one word of `scan set` is enough.
    assert_eq!(settings.slow_ports, 25);
    assert_eq!(settings.escalation, [secs(86_400), secs(604_800)]);
    assert_eq!(settings.validate(), Ok(()));
    assert_eq!(Overrides::default().over(&configured), configured);
}
