//! `GET /metrics`, in the text form of OpenMetrics, which Prometheus and its kin read.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::wire::{Code, Problem, ProblemBody, Webhook};
use crate::daemon::{handle::Handle, meters::Metrics};

/// What the text is, in the words of OpenMetrics.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `iface` of packets on interfaces that are not counted apart.
const OTHERS: &str = "other";

/// What monitoring asks for, in the text form of OpenMetrics
#[utoipa::path(get, path = "/metrics", tag = "state", responses(
    (status = 200, description = "done", body = String, content_type = "application/openmetrics-text"),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub async fn scrape(State(handle): State<Handle>) -> Result<Response, ProblemBody> {
    let metrics = handle.call(|owner| owner.metrics()).await?;
    let webhooks = handle.webhooks.list().await?;
    let text = encode(&metrics, &webhooks).map_err(|error| {
        let message = format!("the metrics cannot be written: {error}");
        ProblemBody::new(Code::Internal, message)
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// The text of a snapshot.
///
/// # Errors
/// Never: a `String` takes everything.
pub fn encode(metrics: &Metrics, webhooks: &[Webhook]) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("fwctl");
    packets(&mut registry, metrics);
    tables(&mut registry, metrics);
    changes(&mut registry, metrics);
    scans(&mut registry, metrics);
    health(&mut registry, metrics);
    receivers(&mut registry, webhooks);
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Packets and bytes. What never was counted is left out: most reasons are of one family only.
fn packets(registry: &mut Registry, metrics: &Metrics) {
    let (packets, bytes) = (Family::default(), Family::default());
    for (interface, totals) in &metrics.packets {
        let interface = match interface.as_str() {
            "" => OTHERS,
            name => name,
        };
        let counted = totals.iter().filter(|(_, counter)| counter.packets > 0);
        for (outcome, counter) in counted {
            let labels = labels([
                ("action", outcome.action()),
                ("reason", outcome.reason.name()),
                ("family", outcome.family.name()),
                ("iface", interface),
            ]);
            count(&packets, &labels, counter.packets);
            count(&bytes, &labels, counter.bytes);
        }
    }
    registry.register("packets", "Packets by what became of them and why", packets);
    registry.register(
        "bytes",
        "Bytes of these packets, from the Ethernet header on",
        bytes,
    );
}

fn tables(registry: &mut Registry, metrics: &Metrics) {
    let entries = Family::default();
    for (list, count) in &metrics.entries {
        for (family, number) in [("ipv4", count.ipv4), ("ipv6", count.ipv6)] {
            set(
                &entries,
                &labels([("list", list), ("family", family)]),
                number,
            );
        }
    }
    registry.register("entries", "Blocks and allows of each list", entries);
    let (used, capacity) = (Family::default(), Family::default());
    for table in &metrics.tables {
        let labels = labels([("map", &table.name)]);
        set(&used, &labels, table.used);
        set(&capacity, &labels, table.capacity);
    }
    registry.register(
        "map_used",
        "Elements in use of each table in the kernel",
        used,
    );
    registry.register(
        "map_capacity",
        "Elements that each table in the kernel can hold",
        capacity,
    );
    let memory = usize::try_from(metrics.memory).unwrap_or(usize::MAX);
    gauge(
        registry,
        "map_memory_bytes",
        "Memory of the kernel that all maps take",
        memory,
    );
}

fn changes(registry: &mut Registry, metrics: &Metrics) {
    let blocks = Family::default();
    for (trigger, number) in &metrics.blocks {
        count(&blocks, &labels([("trigger", trigger.name())]), *number);
    }
    registry.register("blocks", "New blocks by what had them made", blocks);
    counter(
        registry,
        "expired",
        "Entries that came to their end",
        metrics.expired,
    );
    let help = "How long changes took in the store and in the kernel's tables";
    registry.register("apply_seconds", help, metrics.applied.clone());
    let help = "How often something of ours in netfilter was changed or gone, and repaired";
    counter(registry, "mirror_drift", help, metrics.drifts);
    let help = "Events that a listener did not get, or that the kernel had no room for";
    counter(registry, "events_lost", help, metrics.events_lost);
}

fn scans(registry: &mut Registry, metrics: &Metrics) {
    let sources = usize::try_from(metrics.scan_sources).unwrap_or(usize::MAX);
    gauge(
        registry,
        "scan_sources",
        "Sources that have tried ports not served lately",
        sources,
    );
    let help = "Thresholds of the scan detector that were crossed";
    counter(registry, "scan_crossings", help, metrics.scan_crossings);
}

fn health(registry: &mut Registry, metrics: &Metrics) {
    gauge(
        registry,
        "guarded",
        "Prefixes that can never be dropped",
        metrics.guarded,
    );
    gauge(
        registry,
        "alarms",
        "What is wrong at the moment; status names it",
        metrics.alarms,
    );
    let attached = Family::default();
    for (interface, mode, is_attached) in &metrics.attached {
        let mode = mode.as_deref().unwrap_or("none");
        let labels = labels([("iface", interface), ("mode", mode)]);
        set(&attached, &labels, usize::from(*is_attached));
    }
    let help = "Whether packets of a configured interface go through the program";
    registry.register("attached", help, attached);
    let abi = metrics.abi.to_string();
    let build = labels([("version", metrics.version), ("abi", &abi)]);
    registry.register(
        "build",
        "Version of the daemon and of its kernel tables",
        Info::new(build),
    );
}

fn receivers(registry: &mut Registry, webhooks: &[Webhook]) {
    let (events, queued) = (Family::default(), Family::default());
    for webhook in webhooks {
        for (outcome, number) in [
            ("delivered", webhook.delivered),
            ("failed", webhook.failed),
            ("dropped", webhook.dropped),
        ] {
            let labels = labels([("webhook", &webhook.name), ("outcome", outcome)]);
            count(&events, &labels, number);
        }
        let waiting = usize::try_from(webhook.queued).unwrap_or(usize::MAX);
        set(&queued, &labels([("webhook", &webhook.name)]), waiting);
    }
    let help = "Events for a webhook by what became of them";
    registry.register("webhook_events", help, events);
    registry.register("webhook_queued", "Events that wait for a webhook", queued);
}

/// Names and values.
type Labels<const N: usize> = [(&'static str, String); N];

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels<N> {
    pairs.map(|(name, value)| (name, value.to_owned()))
}

fn count<const N: usize>(family: &Family<Labels<N>, Counter>, labels: &Labels<N>, number: u64)
where
    Labels<N>: EncodeLabelSet,
{
    family.get_or_create(labels).inc_by(number);
}

fn set<const N: usize>(family: &Family<Labels<N>, Gauge>, labels: &Labels<N>, number: usize)
where
    Labels<N>: EncodeLabelSet,
{
    family.get_or_create(labels).set(whole(number));
}

fn counter(registry: &mut Registry, name: &str, help: &str, number: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(number);
    registry.register(name, help, counter);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, number: usize) {
    let gauge: Gauge = Gauge::default();
    gauge.set(whole(number));
    registry.register(name, help, gauge);
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
