//! What differs between the policy and what the layers hold.

use super::{handle::Handle, owner::Owner, problem::Failure};
use crate::{
    api::wire::{Diff, LayerChange},
    plan::{Op, Plan},
};

impl Handle {
    /// `GET /diff`
    ///
    /// # Errors
    /// A layer cannot be read.
    pub async fn diff(&self) -> Result<Diff, Failure> {
        let mut layers = vec![self.call(|owner| owner.xdp_diff()).await?];
        let mirror = self.mirror_diff().await?;
        if !mirror.layer.is_empty() {
            layers.push(mirror);
        }
        Ok(Diff {
            equal: layers.iter().all(|layer| layer.changes.is_empty()),
            layers,
        })
    }
}

impl Owner {
    /// What the kernel's tables lack (`+`) and hold too much (`-`).
    fn xdp_diff(&mut self) -> Result<LayerChange, Failure> {
        let Plan {
            guard,
            allow,
            block,
        } = self.plan_all()?;
        let mut changes = Vec::new();
        lines("guard", &guard, &mut changes);
        lines("allow", &allow, &mut changes);
        lines("block", &block, &mut changes);
        Ok(LayerChange::new("xdp", changes))
    }
}

fn lines<V>(table: &str, ops: &[Op<V>], changes: &mut Vec<String>) {
    changes.extend(ops.iter().map(|op| {
        let sign = if op.after.is_some() { '+' } else { '-' };
        format!("{sign} {table} {}", op.prefix)
    }));
}
