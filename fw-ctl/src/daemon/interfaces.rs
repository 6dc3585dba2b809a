//! Keeping the program on the configured interfaces, while they come and go.

use super::{
    owner::{Owner, wire_time},
    problem::Failure,
};
use crate::{
    api::wire::{self, Code, Event},
    backend::xdp::{
        links::{Attached, LinkError},
        load::chain,
    },
    host::{clock, links::Link},
};

impl Owner {
    /// Attaches every configured interface that is there and not attached, and forgets those that
    /// are gone. What is attached stays untouched.
    ///
    /// # Errors
    /// The first interface that refuses; it is tried again with the next change of the links.
    pub fn attach_all(&mut self, links: Vec<Link>) -> Result<(), Failure> {
        self.links = links;
        let mut result = Ok(());
        for name in self.interfaces.keys().cloned().collect::<Vec<_>>() {
            if let Err(failure) = self.attach_one(&name) {
                self.interfaces.insert(name, Some(failure.to_string()));
                result = result.and(Err(failure));
            }
        }
        result
    }

    /// Raises an alarm while a configured interface is without the program, or none is configured.
    pub(super) fn watch_over(&mut self) {
        const SUBJECT: &str = "unprotected";
        let mut unprotected: Vec<String> = self
            .interface_reports()
            .into_iter()
            .filter(|interface| {
                let trouble = self.interfaces.get(&interface.name);
                !interface.attached || trouble.is_some_and(Option::is_some)
            })
            .map(|interface| format!("interface {}: {}", interface.name, interface.detail))
            .collect();
        if !self.xdp.is_pinned() {
            unprotected.push("the pins are gone: filtering ends with the daemon".to_owned());
        }
        if self.interfaces.is_empty() {
            unprotected.push("no interface is protected".to_owned());
        }
        let alarm = (!unprotected.is_empty()).then(|| unprotected.join("; "));
        if self.alarm(SUBJECT, alarm.clone())
            && let Some(alarm) = alarm
        {
            tracing::warn!("{alarm}");
        }
    }

    /// Interfaces whose packets go through the program.
    pub(super) fn protected(&self) -> Vec<&str> {
        let reports = self.interfaces.keys();
        reports
            .filter(|name| self.xdp.attached(name).is_some_and(Attached::is_alive))
            .map(String::as_str)
            .collect()
    }

    fn attach_one(&mut self, name: &str) -> Result<(), Failure> {
        let Some(link) = self.links.iter().find(|link| link.name == name).cloned() else {
            let here = self
                .xdp
                .attached(name)
                .filter(|attached| attached.is_alive());
            let renamed =
                here.and_then(|here| self.links.iter().find(|link| link.index == here.index));
            if let Some(link) = renamed {
                let trouble = format!(
                    "renamed to {}, and protected until the daemon ends",
                    link.name
                );
                self.interfaces.insert(name.to_owned(), Some(trouble));
                return Ok(());
            }
            if self.xdp.attached(name).is_some() {
                self.tell_interface(name, false, "the interface is gone");
                self.xdp.forget(name);
            }
            self.interfaces.insert(
                name.to_owned(),
                Some("there is no such interface".to_owned()),
            );
            return Ok(());
        };
        if let Some(attached) = self.xdp.attached(name) {
            if attached.index == link.index && attached.is_alive() {
                self.interfaces.insert(name.to_owned(), None);
                return Ok(());
            }
            self.xdp.forget(name);
        }
        // Before its first packet; what is not counted apart is counted all the same.
        if let Err(error) = self.xdp.counters.count_apart(name, link.index) {
            tracing::warn!(interface = name, %error, "cannot count its packets apart");
        }
        let mode = self.config.mode;
        let attached = self.xdp.attach(&link, mode).map_err(Failure::from)?;
        let detail = format!("attached in {} mode: {}", attached.mode, attached.detail);
        self.interfaces.insert(name.to_owned(), None);
        self.tell_interface(name, true, &detail);
        Ok(())
    }

    /// Takes the program off one interface, or everything off the host and ends.
    ///
    /// # Errors
    /// The kernel refuses, or the interface is not ours.
    pub fn detach(&mut self, interface: Option<&str>) -> Result<wire::Changed, Failure> {
        let mut changed = wire::Changed::default();
        let names: Vec<String> = match interface {
            Some(name) if !self.interfaces.contains_key(name) => {
                return Err(Failure::new(
                    Code::NotFound,
                    format!("{name} is not protected"),
                ));
            }
            Some(name) => vec![name.to_owned()],
            None => self.xdp.pinned(),
        };
        for name in names {
            changed.removed += usize::from(self.xdp.detach(&name)?);
            self.interfaces.remove(&name);
            self.tell_interface(&name, false, "detached on request");
        }
        self.watch_over();
        if interface.is_none() {
            self.stop = true;
            self.remove_pins = true;
        }
        Ok(changed)
    }

    pub(super) fn interface_reports(&self) -> Vec<wire::Interface> {
        self.interfaces
            .iter()
            .map(|(name, trouble)| {
                let attached = self.xdp.attached(name);
                wire::Interface {
                    name: name.clone(),
                    index: self
                        .links
                        .iter()
                        .find(|link| link.name == *name)
                        .map(|link| link.index),
                    attached: attached.is_some_and(|attached| attached.is_alive()),
                    mode: attached.map(|attached| attached.mode.to_owned()),
                    detail: match (attached, trouble) {
                        (_, Some(trouble)) => trouble.clone(),
                        (Some(attached), None) => attached.detail.clone(),
                        (None, None) => "not attached yet".to_owned(),
                    },
                }
            })
            .collect()
    }

    fn tell_interface(&self, name: &str, attached: bool, detail: &str) {
        tracing::info!(interface = name, "{detail}");
        self.broadcast.tell(Event::Interface {
            time: wire_time(clock::now().wall),
            interface: name.to_owned(),
            attached,
            detail: detail.to_owned(),
        });
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let failure = Self::new(Code::Kernel, chain(&error));
        match &error {
            LinkError::Foreign { name: Some(name), .. } if name.starts_with("fwctl_") => failure
                .with_hint("another fw-ctl put it there: `fw-ctl detach --pin-dir` with its directory"),
            LinkError::Foreign { interface, .. } => failure.with_hint(format!(
                "it is not ours to remove; its owner may, or `ip link set dev {interface} xdp off` if no link holds it (`bpftool link`)"
            )),
            LinkError::Attach { .. } => failure.with_hint(
                "`fw-ctl doctor` says what this host can do; mode skb works with every driver",
            ),
            LinkError::Pin { .. } => failure,
        }
    }
}
