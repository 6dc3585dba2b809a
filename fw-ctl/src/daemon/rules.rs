//! Rules and the stateful base, as they come over the socket.

use jiff::tz::TimeZone;

use super::{
    owner::{Owner, wire_time},
    problem::{Failure, bad_input},
    whole::{Save, Weighed},
};
use crate::{
    api::wire::{self, Changed, Code, Items, RuleAdded},
    detect::ports,
    host::clock,
    policy::{
        change::Draft,
        rate::Limit,
        rule::{
            Effect, Origin, Rule, RuleId, Verdict,
            text::{RuleError, RuleText},
        },
        rules::{Added, Base, BaseOverrides, Rules},
        service::Protocol,
        time::Now,
    },
};

impl Owner {
    /// `POST /rules`
    ///
    /// # Errors
    /// What is wrong with it, or a rule that says the opposite.
    pub fn rule_add(
        &mut self,
        put: &wire::RulePut,
        dry_run: bool,
        by: &str,
    ) -> Result<RuleAdded, Failure> {
        let now = clock::now();
        let (rule, mut warnings) = read_rule(put, Origin::Local, now)?;
        warnings.extend(self.idle(&rule));
        warnings.extend(self.goes_back());
        if rule.service.ports().iter().any(|range| {
            (range.first..=range.last).any(|port| self.is_published(rule.service.protocol(), port))
        }) {
            warnings.push(format!(
                "address translation sends ports of {} elsewhere: rules see these connections with their new port, if at all",
                rule.service
            ));
        }
        let mut next = self.policy.rules.clone();
        let added = next.add(rule)?;
        let (Added::New(id) | Added::Updated(id) | Added::Known(id)) = added;
        let changed = !matches!(added, Added::Known(_));
        let shown = next.get(id).map(|rule| self.wire_rule(id, rule, now));
        if changed && !dry_run {
            let detail = format!("rule {id} {} {} added", put.action, put.service);
            self.commit_rules(next, self.base, by, &detail)?;
        }
        Ok(RuleAdded {
            rule: shown.ok_or_else(|| Failure::new(Code::Internal, "the rule is gone"))?,
            changed,
            warnings,
        })
    }

    /// What makes a rule do less than it seems.
    fn idle(&self, rule: &Rule) -> Option<String> {
        let service = &rule.service;
        match rule.effect {
            Effect::Port(Verdict::Accept)
                if rule.hours.is_none()
                    && !rule.sources.is_empty()
                    && self.policy.rules.base.default == Verdict::Accept
                    && !self.policy.rules.closes(service) =>
            {
                Some(format!(
                    "everybody else reaches {service} too: the default is accept; `fw-ctl port add {service} --drop` closes it to them"
                ))
            }
            Effect::Limit(Limit {
                adaptive: Some(_), ..
            }) if service.protocol() != Protocol::Tcp || !rule.sources.is_empty() => Some(
                "it does not adapt: only connections of everybody over tcp are counted".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether connections to this port are translated before rules see them.
    pub(super) fn is_published(&self, protocol: Protocol, port: u16) -> bool {
        let protocol = match protocol {
            Protocol::Tcp => ports::Protocol::Tcp,
            Protocol::Udp => ports::Protocol::Udp,
            Protocol::Icmp | Protocol::Other(_) => return false,
        };
        self.published.contains(protocol, port)
    }

    /// `DELETE /rules/{id}`
    ///
    /// # Errors
    /// One of another kind, or of the configuration.
    pub fn rule_remove(
        &mut self,
        id: u32,
        kind: Option<&str>,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        let id = RuleId(id);
        let Some(rule) = self.policy.rules.get(id) else {
            return Ok(Changed {
                unchanged: 1,
                warnings: vec![format!("there is no rule {id}")],
                ..Changed::default()
            });
        };
        if let Some(kind) = kind.filter(|wanted| *wanted != kind_of(rule)) {
            let message = format!("rule {id} is no {kind} rule, but a {} rule", kind_of(rule));
            return Err(bad_input(message)
                .with_hint(format!("`fw-ctl {} del {id}` removes it", kind_of(rule))));
        }
        if rule.origin == Origin::Configuration {
            let message = format!("rule {id} stands in the configuration file");
            return Err(Failure::new(Code::Conflict, message)
                .with_hint("remove it there, and reload the daemon"));
        }
        if !dry_run {
            let mut next = self.policy.rules.clone();
            next.remove(id);
            self.commit_rules(next, self.base, by, &format!("rule {id} removed"))?;
        }
        Ok(Changed {
            removed: 1,
            ..Changed::default()
        })
    }

    /// `GET /rules`
    pub fn rules(&self) -> Items<wire::Rule> {
        let now = clock::now();
        let rules = self.policy.rules.iter();
        Items::all(
            rules
                .map(|(id, rule)| self.wire_rule(id, rule, now))
                .collect(),
        )
    }

    /// `GET /default`
    pub fn base(&self) -> wire::Base {
        wire_base(self.policy.rules.base)
    }

    /// `PUT /default`
    ///
    /// # Errors
    /// What is no verdict.
    pub fn base_change(&mut self, change: &wire::Base, by: &str) -> Result<wire::Base, Failure> {
        let base = merged(self.base, change.default.as_deref(), change.drop_invalid)?;
        let mut next = self.policy.rules.clone();
        next.base = base.over(self.config.mirror.base);
        if !change.dry_run && (base != self.base || next.base != self.policy.rules.base) {
            let detail = format!("default {}", next.base.default.name());
            self.commit_rules(next.clone(), base, by, &detail)?;
        }
        let asked = change.default.as_ref();
        let warning = asked.and_then(|_| self.nobody_guarded(next.base.default));
        Ok(wire::Base {
            warnings: warning.into_iter().chain(self.goes_back()).collect(),
            ..wire_base(next.base)
        })
    }

    /// Makes rules true everywhere, or nowhere.
    ///
    /// # Errors
    /// What refused; the rules are as they were.
    pub(super) fn commit_rules(
        &mut self,
        rules: Rules,
        base: BaseOverrides,
        by: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        let weighed = Weighed {
            draft: Draft::default(),
            rules,
            guard: None,
            base,
        };
        self.put_in_force(weighed, Save::Leave, clock::now(), by, detail)
    }

    fn wire_rule(&self, id: RuleId, rule: &Rule, now: Now) -> wire::Rule {
        let text = RuleText::from(rule);
        let at = wire_time(now.wall);
        let adapts = matches!(rule.effect, Effect::Limit(limit) if limit.adaptive.is_some());
        let rate = self.mirror.rates.get(&id).map(ToString::to_string);
        wire::Rule {
            id: id.0,
            kind: kind_of(rule).to_owned(),
            rate_now: rate.filter(|_| adapts).or_else(|| text.rate.clone()),
            active: rule.is_on(at),
            next_change: rule.hours.as_ref().and_then(|hours| hours.next_change(at)),
            comment: rule.comment.as_str().to_owned(),
            created_at: wire_time(rule.created),
            expires_at: rule
                .deadline
                .map(|deadline| wire_time(now.wall_of(deadline))),
            ttl_s: rule.deadline.map(|deadline| now.left(deadline)),
            origin: rule.origin.name().to_owned(),
            service: text.service,
            action: text.action,
            from: text.from,
            rate: text.rate,
            burst: text.burst,
            per: text.per,
            floor: text.floor,
            ceiling: text.ceiling,
            hours: text.hours,
            days: text.days,
            zone: text.zone,
        }
    }
}

fn wire_base(base: Base) -> wire::Base {
    wire::Base {
        default: Some(base.default.name().to_owned()),
        drop_invalid: Some(base.drop_invalid),
        ..wire::Base::default()
    }
}

/// As `fw-ctl` names the verb.
fn kind_of(rule: &Rule) -> &'static str {
    match rule.effect {
        Effect::Limit(_) => "limit",
        Effect::Port(_) if rule.hours.is_some() => "schedule",
        Effect::Port(_) => "port",
    }
}

/// What the operator said of the base, with what he says now.
pub(super) fn merged(
    before: BaseOverrides,
    default: Option<&str>,
    drop_invalid: Option<bool>,
) -> Result<BaseOverrides, Failure> {
    let default = default.map(str::parse::<Verdict>).transpose();
    Ok(BaseOverrides {
        default: default
            .map_err(|error| bad_input(format!("default: {error}")))?
            .or(before.default),
        drop_invalid: drop_invalid.or(before.drop_invalid),
    })
}

/// A rule as it is asked for, and what the user should know.
pub(super) fn read_rule(
    put: &wire::RulePut,
    origin: Origin,
    now: Now,
) -> Result<(Rule, Vec<String>), Failure> {
    let deadline = now
        .end_of(put.ttl_s)
        .map_err(|error| bad_input(format!("ttl_s: {error}")))?;
    let read = RuleText::from(put).read(|name| TimeZone::get(name).ok());
    let (rule, warnings) = read.map_err(|error: RuleError| bad_input(error.to_string()))?;
    let comment = put.comment.parse();
    let rule = Rule {
        comment: comment.map_err(|error| bad_input(format!("comment: {error}")))?,
        created: now.wall,
        deadline,
        origin,
        ..rule
    };
    Ok((rule, warnings))
}
