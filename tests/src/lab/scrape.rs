//! Metrics, as a foreign parser reads them.

use std::process::Command;

use serde_json::Value;

use super::{Lab, command::Reply};

/// A scrape.
pub struct Scrape(Value);

impl Lab {
    /// Scrapes the daemon at this path.
    #[track_caller]
    pub fn scrape(&self, path: &str) -> Scrape {
        let output = Command::new("/usr/bin/python3")
            .args(["-c", include_str!("scrape.py")])
            .arg(self.socket())
            .arg(path)
            .output()
            .expect("python3 starts");
        Scrape(Reply::new(format!("scrape {path}"), output).must(0).json())
    }
}

impl Scrape {
    /// What the answer said it was.
    pub fn content_type(&self) -> &str {
        self.0["content_type"].as_str().expect("a content type")
    }

    /// Name, type and help of each metric.
    pub fn described(&self) -> Vec<[String; 3]> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let families = self.0["families"].as_array().expect("families").iter();
        families
            .map(|family| ["name", "type", "help"].map(|key| text(&family[key])))
            .collect()
    }

    /// The sum of the series of this name that have all these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let families = self.0["families"].as_array().expect("families").iter();
        let samples = families.flat_map(|family| family["samples"].as_array().expect("samples"));
        let asked = samples.filter(|sample| {
            let has = |(key, value): &(&str, &str)| sample["labels"][*key] == *value;
            sample["name"] == name && labels.iter().all(has)
        });
        asked
            .map(|sample| sample["value"].as_f64().expect("a number") as u64)
            .sum()
    }
}
