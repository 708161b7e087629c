//! What GetPermission shows is what was acknowledged, and nothing that was never sent.

use std::collections::BTreeSet;

use callgate::proto::{GrantKind, Permission, QuotaKind};

use super::{Findings, Promise, hold};
use crate::proof::{
    history::{Attempt, History, View, view_of},
    ledger::{Answer, Asked, ms},
};

pub(super) fn check(pair: &str, history: &History<'_>, findings: &mut Findings) {
    for entry in &history.entries {
        let Asked::View { as_of } = entry.asked else { continue };
        let Some((_, Answer::View(permission))) = entry.known() else { continue };
        let Some(view) = view_of(entry) else { continue };
        findings.sums.views += 1;
        let looked = Look { history, permission, view, as_of };
        let (problems, shown) = looked.problems();
        findings.sums.shown += shown;
        for problem in problems {
            findings.add(Promise::CountsAgree, pair, format!("at {}: {problem}", view.at));
        }
    }
}

struct Look<'a> {
    history: &'a History<'a>,
    permission: &'a Permission,
    view: View,
    as_of: Option<u64>,
}

/// What certainly fills a quota, and what may.
#[derive(Debug, Default)]
struct Bounds<'a> {
    certain: BTreeSet<&'a str>,
    possible: BTreeSet<&'a str>,
}

impl<'a> Look<'a> {
    /// What is wrong, and how much there was to be shown for sure.
    fn problems(&self) -> (Vec<String>, usize) {
        let mut shown = 0;
        let mut judge = |kind, is_held, bounds: &Bounds<'_>| {
            shown += bounds.certain.len();
            self.judge(kind, is_held, bounds)
        };
        let at = self.as_of.unwrap_or(self.view.at);
        let window = (at + 1).saturating_sub(self.history.rules.call_window);
        let mut found = judge(QuotaKind::CallsInWindow, false, &self.answered(window, at));
        if let Some(grant) = &self.permission.grant
            && grant.kind() == GrantKind::Temporary
        {
            let answered = self.answered(ms(grant.granted_at), at);
            found.extend(judge(QuotaKind::CallsInPermission, false, &answered));
        }
        if self.as_of.is_none() {
            let held = self.held(&self.history.calls);
            found.extend(judge(QuotaKind::CallsInWindow, true, &held));
            let held = self.held(&self.history.requests);
            found.extend(judge(QuotaKind::RequestsPerDay, true, &held));
            let sent = self.sent();
            found.extend(judge(QuotaKind::RequestsPerDay, false, &sent));
            found.extend(judge(QuotaKind::RequestsPerWeek, false, &sent));
        }
        (found, shown)
    }

    fn judge(&self, kind: QuotaKind, is_held: bool, bounds: &Bounds<'_>) -> Vec<String> {
        let Some(quota) = self.permission.quotas.iter().find(|quota| quota.kind() == kind) else {
            return vec![format!("no quota {kind:?}")];
        };
        let entries = quota.entries.iter().filter(|entry| entry.held == is_held);
        let shown: BTreeSet<&str> = entries.map(|entry| entry.id.as_str()).collect();
        let name = format!("{} {}", if is_held { "held" } else { "used" }, kind.as_str_name());
        let mut found = Vec::new();
        let count = if is_held { quota.held } else { quota.used };
        if count as usize != shown.len() {
            found.push(format!("{name} is {count}, and lists {shown:?}"));
        }
        for id in bounds.certain.difference(&shown) {
            found.push(format!("{name} lacks {id}"));
        }
        for id in shown.difference(&bounds.possible) {
            found.push(format!("{name} has {id}"));
        }
        found
    }

    /// Calls that were answered from `since` on; as of a time in the past, until then.
    fn answered(&self, since: u64, until: u64) -> Bounds<'a> {
        let mut bounds = Bounds::default();
        for (id, call) in &self.history.calls {
            let Some(counted) = hold::counted(self.history, call, &self.view) else { continue };
            // Facts that lie ahead count now, but not as of a time before.
            let last = if self.as_of.is_some() { until } else { u64::MAX };
            if counted.is_certain && since <= counted.earliest && counted.latest <= last {
                bounds.certain.insert(id);
            }
            if since <= counted.latest && counted.earliest <= last {
                bounds.possible.insert(id);
            }
        }
        bounds
    }

    fn held(&self, attempts: &std::collections::BTreeMap<&'a str, Attempt<'a>>) -> Bounds<'a> {
        let mut bounds = Bounds::default();
        for (id, attempt) in attempts {
            if hold::held_until(self.history, attempt, &self.view, None).is_some() {
                bounds.certain.insert(id);
            }
            if hold::is_perhaps_held(self.history, attempt, &self.view) {
                bounds.possible.insert(id);
            }
        }
        bounds
    }

    fn sent(&self) -> Bounds<'a> {
        let mut bounds = Bounds::default();
        for (id, request) in &self.history.requests {
            let (is_certain, is_possible) = hold::sent(self.history, request, &self.view);
            if is_certain {
                bounds.certain.insert(id);
            }
            if is_possible {
                bounds.possible.insert(id);
            }
        }
        bounds
    }
}
