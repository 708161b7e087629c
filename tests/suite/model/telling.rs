//! When the referee says what the stream tells, and to whom.

use callgate::engine::{change::Change, code::change_cause};

use super::{
    changes::{self, By, Heard, Why},
    facts::Facts,
    owners::{Customer, Who, alone},
    quotas::{DAY, horizon},
    referee::Referee,
    told::What,
};

/// How far those are told of it whom a step concerns: linked directly or through one more.
const NEAR: usize = 2;

impl Referee {
    /// What time alone has changed for whoever is named, or near, up to now.
    pub fn settle(&mut self, who: Who<'_>, now: u64) {
        let mut is_told: Vec<String> = Vec::new();
        for named in [who.0, who.1].into_iter().filter(|id| !id.is_empty()) {
            for id in self.sights.near(alone(named), NEAR) {
                if !is_told.contains(&id) {
                    is_told.extend(self.walk(&id, now).own);
                }
            }
        }
        self.close(now);
    }

    /// What a setting has changed, for each who is named, or near.
    pub fn tell_rules(&mut self, who: Who<'_>, now: u64) {
        for named in [who.0, who.1].into_iter().filter(|id| !id.is_empty()) {
            self.tell_near(alone(named), By { at: now, now, event_id: "", why: Why::Rules });
        }
    }

    /// What has changed for whoever is named, or near.
    pub fn tell_near(&mut self, who: Who<'_>, by: By<'_>) {
        let customer = self.sights.customer(who);
        self.tell_one(&customer, &self.facts(who), by.now, by);
        let mut is_told = customer.own;
        for id in self.sights.near(who, NEAR) {
            if is_told.contains(&id) {
                continue;
            }
            let customer = self.sights.customer(alone(&id));
            self.tell_one(&customer, &self.facts(alone(&id)), by.now, by);
            is_told.extend(customer.own);
        }
    }

    /// Looks at every instant since it was looked last at which anything may end. Returns whom it
    /// concerned.
    pub fn walk(&mut self, id: &str, now: u64) -> Customer {
        let customer = self.sights.customer(alone(id));
        let from = customer.own.iter().filter_map(|id| self.heard.get(id)).map(|(_, at)| *at).min();
        if from.is_none_or(|from| from == now) {
            return customer;
        }
        let facts = Facts::from(self.sights.known(&customer, self.told.iter(), u64::MAX));
        for t in self.ends(&facts, from.unwrap_or(now), now) {
            self.tell_one(&customer, &facts, t, By { at: t, now, event_id: "", why: Why::Time });
        }
        customer
    }

    /// All instants in between at which anything might end by the rules.
    fn ends(&self, facts: &Facts, after: u64, up_to: u64) -> Vec<u64> {
        let p = &self.profile;
        let spans = [
            0,
            DAY,
            7 * DAY,
            p.lease,
            p.call_window,
            p.temporary_permission,
            p.request_lapses_after,
            p.longest_call,
            horizon(p),
        ];
        let newest = &facts.newest;
        let yes = [&newest.accept, &newest.callback].into_iter().flatten();
        let mut begun: Vec<u64> = yes.flat_map(|yes| [yes.at, yes.expires.unwrap_or(0)]).collect();
        begun.extend(newest.inbound);
        for row in facts.calls.iter().chain(&facts.requests) {
            begun.push(row.at);
            begun.extend([row.until, row.sign, row.delivered].into_iter().flatten());
        }
        let mut ends: Vec<u64> = begun
            .into_iter()
            .flat_map(|at| spans.map(|span| at + span))
            .flat_map(|at| [at, at + 1, at.saturating_sub(p.expiring_soon)])
            .filter(|at| after < *at && *at <= up_to)
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// What is not as it was told to this customer: looked at for the instant `t`.
    fn tell_one(&mut self, customer: &Customer, facts: &Facts, t: u64, by: By<'_>) {
        let state = self.state(t, facts);
        let is = Heard::of(&state, self.profile.unanswered_warns_at, self.profile.expiring_soon);
        let heard = |id: &String| self.heard.get(id).map_or(Heard::NOTHING, |(heard, _)| *heard);
        let was: Vec<Heard> = customer.own.iter().map(heard).collect();
        for news in changes::of_all(&was, &is, by) {
            let change = self.named(customer, changes::change(&state, news, by));
            self.news.push(change);
        }
        for id in &customer.own {
            self.heard.insert(id.clone(), (is, t));
        }
    }

    fn named(&self, customer: &Customer, change: Change) -> Change {
        Change {
            wa: customer.wa.clone(),
            user: customer.user.clone(),
            wa_id: self.spelling(&customer.shown_wa),
            profile: self.profile.name.clone(),
            warns_at: self.profile.unanswered_warns_at,
            revokes_at: self.profile.unanswered_revokes_at,
            call_window: self.profile.call_window,
            revision: self.revision,
            ..change
        }
    }

    /// Each customer under these ids is told to be forgotten.
    pub fn tell_forgotten(&mut self, ids: &[String], now: u64) {
        let mut is_told: Vec<String> = Vec::new();
        for id in ids {
            let is_kept = self.is_known(id);
            let customer = self.sights.customer(alone(id));
            if !is_kept || customer.own.iter().any(|id| is_told.contains(id)) {
                continue;
            }
            is_told.extend(customer.own.clone());
            let heard = self.heard.get(&customer.own[0]);
            let previous = heard.map_or(Heard::NOTHING, |(heard, _)| *heard).status();
            let state = self.state(now, &Facts::default());
            let by = By { at: now, now, event_id: "", why: Why::Rules };
            let news = changes::change(&state, (change_cause::FORGOTTEN, previous), by);
            let change = self.named(&customer, news);
            self.news.push(change);
        }
    }

    /// What a yes held is given back, under whichever id it was held.
    pub fn release(&mut self, who: Who<'_>, now: u64, what: &What) {
        for named in [who.0, who.1].into_iter().filter(|id| !id.is_empty()) {
            for (id, _) in self.sights.customer(alone(named)).counts {
                self.tell(alone(&id), now, what.clone());
            }
        }
        self.revision += 1;
        self.tell_rules(who, now);
    }
}
