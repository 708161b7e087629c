//! Who is who (`rules.md`, section 6; `ARCHITECTURE.md`, "Identity"): the ids of one customer, worked
//! out from when they were seen together.

use super::{facts::Recorded, told::Told};

/// Who is meant: the key of a `wa_id`, or "", and a user id, or "".
pub type Who<'a> = (&'a str, &'a str);

/// Both ids, at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    pub wa: String,
    pub user: String,
    pub at: u64,
}

/// All that were ever seen together.
#[derive(Debug, Clone, Default)]
pub struct Sights(pub Vec<Sight>);

/// A customer, as far as those are known who share a number or a user id.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The number and the user id that are this customer's alone: what is told of one is told of both.
    pub own: Vec<String>,
    /// The same as a pair, "" where one is not known.
    pub wa: String,
    pub user: String,
    /// As they are shown: also that which was named.
    pub shown_wa: String,
    pub shown_user: String,
    /// Under which ids something counts, and whether what gives permission does.
    pub counts: Vec<(String, bool)>,
}

pub fn is_user(id: &str) -> bool {
    id.contains('.')
}

/// An id alone.
pub fn alone(id: &str) -> Who<'_> {
    if is_user(id) { ("", id) } else { (id, "") }
}

impl Sights {
    /// What was seen together with this id: each with the first and the last time.
    fn with(&self, id: &str) -> Vec<(&str, u64, u64)> {
        let mut with: Vec<(&str, u64, u64)> = Vec::new();
        for Sight { wa, user, at } in &self.0 {
            let other = match id {
                _ if id == wa => user,
                _ if id == user => wa,
                _ => continue,
            };
            match with.iter_mut().find(|(known, ..)| known == other) {
                Some((_, first, last)) => (*first, *last) = (*at.min(first), *at.max(last)),
                None => with.push((other, *at, *at)),
            }
        }
        with
    }

    /// The id seen with this one last: of a number its owner. At one time the larger.
    pub fn newest(&self, id: &str) -> Option<&str> {
        let with = self.with(id);
        with.into_iter().max_by_key(|(other, _, last)| (*last, *other)).map(|(other, ..)| other)
    }

    pub fn add(&mut self, (wa, user): Who<'_>, at: u64) {
        if !wa.is_empty() && !user.is_empty() {
            self.0.push(Sight { wa: wa.to_owned(), user: user.to_owned(), at });
        }
    }

    /// With one more sight.
    pub fn and(&self, who: Who<'_>, at: u64) -> Self {
        let mut sights = self.clone();
        sights.add(who, at);
        sights
    }

    /// Whether a sight would tell who is whose: these two were never seen together, or not last.
    pub fn is_news(&self, (wa, user): Who<'_>, at: u64) -> bool {
        let then = self.and((wa, user), at);
        let is_known = self.0.iter().any(|sight| sight.wa == wa && sight.user == user);
        !wa.is_empty()
            && !user.is_empty()
            && (!is_known
                || self.newest(wa) != then.newest(wa)
                || self.newest(user) != then.newest(user))
    }

    /// The ids that are linked with these directly or through so many more.
    pub fn near(&self, who: Who<'_>, steps: usize) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for id in [who.0, who.1] {
            if !id.is_empty() {
                ids.push(id.to_owned());
            }
        }
        for _ in 0..steps {
            let next: Vec<String> = ids
                .iter()
                .flat_map(|id| self.with(id).into_iter().map(|(other, ..)| other.to_owned()))
                .collect();
            let known = ids.len();
            for id in next {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            if ids.len() == known {
                break;
            }
        }
        ids
    }

    /// The customer who is named. A number is its owner's; without a number it is the user.
    pub fn customer(&self, (wa, user): Who<'_>) -> Customer {
        let owner = if wa.is_empty() { Some(user) } else { self.newest(wa) };
        let number = if wa.is_empty() { self.newest(user) } else { Some(wa) };
        let bond = number.zip(owner).filter(|(number, owner)| {
            self.newest(number) == Some(owner) && self.newest(owner) == Some(number)
        });
        let named = if wa.is_empty() { user } else { wa };
        let mut counts = vec![(named.to_owned(), true)];
        if let Some((number, owner)) = bond {
            counts = vec![(number.to_owned(), true), (owner.to_owned(), true)];
        } else if let Some(owner) = owner.filter(|owner| *owner != named) {
            counts.push((owner.to_owned(), false));
        }
        // The owner's other numbers, as long as they are the owner's.
        for (other, ..) in owner.map(|owner| self.with(owner)).unwrap_or_default() {
            if self.newest(other) == owner && !counts.iter().any(|(id, _)| id == other) {
                counts.push((other.to_owned(), false));
            }
        }
        let own = match bond {
            Some((number, owner)) => vec![number.to_owned(), owner.to_owned()],
            None => vec![named.to_owned()],
        };
        let of_bond = |id: Option<&str>, else_named: &str| id.unwrap_or(else_named).to_owned();
        let (number, owner) = (bond.map(|bond| bond.0), bond.map(|bond| bond.1));
        Customer {
            own,
            wa: of_bond(number, wa),
            user: of_bond(owner, if wa.is_empty() { user } else { "" }),
            shown_wa: of_bond(number, wa),
            shown_user: of_bond(owner, user),
            counts,
        }
    }

    /// What is kept under this id and is its present owner's.
    pub fn of_owner<'a>(&self, id: &str, told: impl Iterator<Item = &'a Told> + Clone) -> Recorded {
        let mut kept = Recorded::under(id, told);
        let with = self.with(id);
        let owner = self.newest(id).filter(|_| !is_user(id) && with.len() > 1);
        let Some(owner) = owner else { return kept };
        let others = with.iter().filter(|(other, ..)| *other != owner);
        let others_last = others.map(|(.., last)| *last).max().unwrap_or(0);
        let own = with.iter().find(|(other, ..)| *other == owner);
        let (first, last) = own.map_or((0, 0), |(_, first, last)| (*first, *last));
        if others_last < first {
            kept.keep(|at| first <= at);
        } else {
            // Back and forth: the narrow side of each.
            kept.keep(|at| others_last < at);
            kept.shut_yes_before(last);
        }
        kept
    }

    /// All that counts of a customer. What took the place of a reply later than `to` is not looked at.
    pub fn known<'a>(
        &self,
        customer: &Customer,
        told: impl Iterator<Item = &'a Told> + Clone,
        to: u64,
    ) -> Recorded {
        let mut all = Recorded::default();
        for (id, does_yes_count) in &customer.counts {
            let mut kept = self.of_owner(id, told.clone());
            if is_user(id) {
                let mut narrowed = kept.of_both_at(to);
                let others =
                    customer.counts.iter().filter(|(other, counts)| other != id && !counts);
                for (other, _) in others {
                    let [accept, callback] = self.of_owner(other, told.clone()).narrows(to);
                    narrowed = [narrowed[0].max(accept), narrowed[1].max(callback)];
                }
                kept.give_way(narrowed);
            }
            match (does_yes_count, is_user(id)) {
                (true, _) => {}
                (false, true) => kept.only_stand_in(&all, to),
                (false, false) => kept.drop_yes(),
            }
            all.join(kept);
        }
        all
    }
}
