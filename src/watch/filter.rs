//! What a stream is about: everything, some business numbers, or some pairs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use crate::engine::{
    Error, Result,
    change::Change,
    pair::{Customer, Pair, PhoneNumberId},
    scope::Scope,
    store::partition_of,
};

/// Business numbers that one stream may name.
pub const NUMBERS_MAX: usize = 1000;
/// Pairs that one stream may name.
pub const PAIRS_MAX: usize = 1000;

/// Which changes a stream tells. Ids are shared with the hub's index.
#[derive(Clone)]
pub struct Filter {
    wanted: Wanted,
    /// Of a filter by pairs: as they were asked for, each once.
    pairs: Vec<Pair>,
    /// By number and pseudonym, the ids that were asked for. Empty where the log has ids.
    names: HashMap<Arc<str>, HashMap<Arc<str>, String>>,
}

#[derive(Clone)]
pub(super) enum Wanted {
    All,
    Numbers(HashSet<Arc<str>>),
    /// By number, ids of customers: keys of `wa_id`s and user ids, which never look alike.
    Pairs(HashMap<Arc<str>, HashSet<Arc<str>>>),
}

impl Filter {
    /// Pairs, if there are any; else business numbers, if there are any; else everything. Where both
    /// are given, every pair must be on one of the numbers.
    ///
    /// # Errors
    /// `Invalid` for `phone_number_ids` or a path in `pairs`: too many, or a pair on a number that is
    /// not among the numbers.
    pub fn new(numbers: &[PhoneNumberId], pairs: Vec<Pair>) -> Result<Self> {
        limit(numbers.len(), NUMBERS_MAX, "phone_number_ids")?;
        limit(pairs.len(), PAIRS_MAX, "pairs")?;
        let named: HashSet<&PhoneNumberId> = numbers.iter().collect();
        let stray = |pair: &Pair| !named.is_empty() && !named.contains(&pair.number);
        if let Some(index) = pairs.iter().position(stray) {
            return Err(Error::invalid(
                format!("pairs[{index}].phone_number_id"),
                "is not among phone_number_ids: add it there, or leave phone_number_ids empty",
            ));
        }
        let wanted = if !pairs.is_empty() {
            Wanted::Pairs(by_number(&pairs))
        } else if !numbers.is_empty() {
            Wanted::Numbers(numbers.iter().map(|number| Arc::from(number.as_str())).collect())
        } else {
            Wanted::All
        };
        Ok(Self { wanted, pairs: each_once(pairs), names: HashMap::new() })
    }

    /// Everything.
    pub fn all() -> Self {
        Self { wanted: Wanted::All, pairs: Vec::new(), names: HashMap::new() }
    }

    /// The same for somebody who may not look further than `scope`: everything is everything in it.
    ///
    /// # Errors
    /// `NotPermitted` for a business number outside.
    pub fn within(mut self, scope: &Scope) -> Result<Self> {
        let Scope::Numbers(allowed) = scope else { return Ok(self) };
        let named: Vec<&Arc<str>> = match &self.wanted {
            Wanted::All => {
                let numbers = allowed.iter().map(|number| Arc::from(number.as_str()));
                self.wanted = Wanted::Numbers(numbers.collect());
                return Ok(self);
            }
            Wanted::Numbers(numbers) => numbers.iter().collect(),
            Wanted::Pairs(pairs) => pairs.keys().collect(),
        };
        for number in named {
            scope.check(&PhoneNumberId::parse(number, "phone_number_ids")?)?;
        }
        Ok(self)
    }

    /// The same over the log of a store that keeps a customer as `kept` tells.
    pub(super) fn over(mut self, kept: impl Fn(&Customer) -> Customer) -> Self {
        let keep =
            |pair: &Pair| Pair { number: pair.number.clone(), customer: kept(&pair.customer) };
        let hidden: Vec<Pair> = self.pairs.iter().map(keep).collect();
        if hidden == self.pairs {
            return self;
        }
        self.wanted = Wanted::Pairs(by_number(&hidden));
        for (asked, kept) in std::iter::zip(&self.pairs, &hidden) {
            let names = self.names.entry(Arc::from(asked.number.as_str())).or_default();
            if let (Some(asked), Some(kept)) = (asked.customer.wa(), kept.customer.wa()) {
                let name = names.entry(Arc::from(kept.key()));
                name.or_insert_with(|| asked.spelled().to_owned());
            }
            if let (Some(asked), Some(kept)) = (asked.customer.user(), kept.customer.user()) {
                let name = names.entry(Arc::from(kept.as_str()));
                name.or_insert_with(|| asked.as_str().to_owned());
            }
        }
        self
    }

    /// A change with the ids that were asked for in place of their pseudonyms; what was not asked for is
    /// left empty. Where no pairs were asked for, there are only pseudonyms to tell.
    pub(super) fn named(&self, change: Arc<Change>) -> Arc<Change> {
        let Some(names) = self.names.get(change.number.as_str()) else { return change };
        let mut change = Arc::unwrap_or_clone(change);
        for id in [&mut change.wa, &mut change.user, &mut change.wa_id] {
            *id = names.get(id.as_str()).cloned().unwrap_or_default();
        }
        Arc::new(change)
    }

    /// Whether the stream tells this change. A pair is met by either id of the customer.
    pub fn matches(&self, change: &Change) -> bool {
        match &self.wanted {
            Wanted::All => true,
            Wanted::Numbers(numbers) => numbers.contains(change.number.as_str()),
            Wanted::Pairs(pairs) => pairs.get(change.number.as_str()).is_some_and(|ids| {
                ids.contains(change.wa.as_str()) || ids.contains(change.user.as_str())
            }),
        }
    }

    /// In which of `count` partitions such changes may be, ascending.
    pub(super) fn partitions(&self, count: u16) -> Arc<[u16]> {
        let of = |number: &Arc<str>| {
            let number = PhoneNumberId::parse(number, "").ok()?;
            Some(partition_of(&number, count))
        };
        let some: BTreeSet<u16> = match &self.wanted {
            Wanted::All => (0..count).collect(),
            Wanted::Numbers(numbers) => numbers.iter().filter_map(of).collect(),
            Wanted::Pairs(pairs) => pairs.keys().filter_map(of).collect(),
        };
        some.into_iter().collect()
    }

    /// For the hub's index.
    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// The pairs, each once, in the order in which they were asked for.
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.pairs
    }
}

/// Shows no customer.
impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::All => f.write_str("Filter(all)"),
            Wanted::Numbers(numbers) => write!(f, "Filter({} numbers)", numbers.len()),
            Wanted::Pairs(_) => write!(f, "Filter({} pairs)", self.pairs.len()),
        }
    }
}

fn limit(count: usize, max: usize, field: &str) -> Result<()> {
    if count <= max {
        return Ok(());
    }
    let problem = format!("must have at most {max} items, not {count}: open several streams");
    Err(Error::invalid(field, problem))
}

fn by_number(pairs: &[Pair]) -> HashMap<Arc<str>, HashSet<Arc<str>>> {
    let mut by_number: HashMap<Arc<str>, HashSet<Arc<str>>> = HashMap::new();
    for pair in pairs {
        let ids = by_number.entry(Arc::from(pair.number.as_str())).or_default();
        ids.extend(pair.customer.keys().into_iter().map(Arc::from));
    }
    by_number
}

fn each_once(mut pairs: Vec<Pair>) -> Vec<Pair> {
    let mut seen = HashSet::new();
    pairs.retain(|pair| seen.insert((pair.number.clone(), pair.customer.keys())));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pseudonym::Keys;

    fn number(digits: &str) -> PhoneNumberId {
        PhoneNumberId::parse(digits, "number").unwrap()
    }

    fn pair(number: &str, wa: &str, user: &str) -> Pair {
        Pair::parse(number, wa, user, "pair").unwrap()
    }

    fn change(number: &str, wa: &str, user: &str) -> Change {
        let [number, wa, user] = [number, wa, user].map(str::to_owned);
        Change { number, wa, user, ..Change::default() }
    }

    #[test]
    fn nothing_named_is_everything() {
        let filter = Filter::new(&[], vec![]).unwrap();
        assert!(filter.matches(&change("1", "15550142001", "")));
        assert_eq!(filter.partitions(64).to_vec(), (0..64).collect::<Vec<u16>>());
    }

    #[test]
    fn numbers_alone_are_all_their_customers() {
        let filter = Filter::new(&[number("1"), number("2")], vec![]).unwrap();
        assert!(filter.matches(&change("1", "15550142001", "")));
        assert!(filter.matches(&change("2", "", "US.1000")));
        assert!(!filter.matches(&change("12", "15550142001", "")));
        let mut expected = [partition_of(&number("1"), 64), partition_of(&number("2"), 64)];
        expected.sort_unstable();
        assert_eq!(*filter.partitions(64), expected);
    }

    #[test]
    fn a_pair_is_met_by_either_id_and_by_any_spelling() {
        // Brazil with the ninth digit; the log has the key, without it.
        let pairs = vec![pair("1", "+5511987654321", "BR.7"), pair("2", "", "US.1000")];
        let filter = Filter::new(&[], pairs).unwrap();
        assert!(filter.matches(&change("1", "551187654321", "")));
        assert!(filter.matches(&change("1", "", "BR.7")));
        assert!(filter.matches(&change("1", "551187654321", "BR.8")));
        assert!(filter.matches(&change("2", "15550142001", "US.1000")));
        assert!(!filter.matches(&change("2", "551187654321", "BR.7")), "on another number");
        assert!(!filter.matches(&change("1", "551187654322", "BR.8")));
        // An id that is not known is "" on both sides, and that is no match.
        assert!(!filter.matches(&change("2", "", "")));
    }

    #[test]
    fn pairs_are_met_by_their_pseudonyms_and_told_as_they_were_asked_for() {
        let keys = Keys::parse("0123456789abcdef0123456789abcdef").unwrap();
        let asked = pair("1", "+5511987654321", "BR.7");
        let kept = keys.pair(&asked).customer.keys();
        let filter = Filter::new(&[], vec![asked]).unwrap().over(|asked| keys.customer(asked));
        let told = change("1", &kept[0], &kept[1]);
        assert!(filter.matches(&told) && !filter.matches(&change("2", &kept[0], &kept[1])));
        assert!(!filter.matches(&change("1", "551187654321", "BR.7")), "no such id is in the log");
        let named = filter.named(Arc::new(told));
        assert_eq!((&*named.wa, &*named.user), ("5511987654321", "BR.7"));
        let other = keys.pair(&pair("1", "", "BR.8")).customer.keys().remove(0);
        let named = filter.named(Arc::new(change("1", &kept[0], &other)));
        assert_eq!((&*named.wa, &*named.user), ("5511987654321", ""), "BR.8 was not asked for");
    }

    #[test]
    fn pairs_narrow_the_numbers_and_must_be_on_them() {
        let pairs = || vec![pair("1", "15550142001", ""), pair("2", "15550142001", "")];
        let filter = Filter::new(&[number("1"), number("2"), number("3")], pairs()).unwrap();
        assert!(filter.matches(&change("2", "15550142001", "")));
        assert!(!filter.matches(&change("3", "15550142001", "")));
        assert!(!filter.partitions(64).contains(&partition_of(&number("3"), 64)));
        let error = Filter::new(&[number("1")], pairs()).unwrap_err();
        let Error::Invalid { field, .. } = error else { panic!("{error:?}") };
        assert_eq!(field, "pairs[1].phone_number_id");
    }

    #[test]
    fn there_may_be_a_thousand_of_each() {
        let numbers: Vec<_> = (0..=NUMBERS_MAX).map(|n| number(&format!("8{n}"))).collect();
        assert!(Filter::new(&numbers[1..], vec![]).is_ok());
        let error = Filter::new(&numbers, vec![]).unwrap_err().to_string();
        assert!(
            error.contains("phone_number_ids") && error.contains("1000 items, not 1001"),
            "{error}"
        );
        let pairs: Vec<_> =
            (0..=PAIRS_MAX).map(|n| pair("1", &format!("1555{n:07}"), "")).collect();
        assert!(Filter::new(&[], pairs[1..].to_vec()).is_ok());
        let error = Filter::new(&[], pairs).unwrap_err().to_string();
        assert!(error.starts_with("pairs: ") && error.contains("not 1001"), "{error}");
    }

    #[test]
    fn a_pair_that_is_named_twice_is_one() {
        let twice = vec![
            pair("1", "5511987654321", ""),
            pair("2", "15550142001", ""),
            pair("1", "551187654321", ""),
            pair("1", "551187654321", "BR.7"),
        ];
        let filter = Filter::new(&[], twice.clone()).unwrap();
        assert_eq!(filter.pairs(), [twice[0].clone(), twice[1].clone(), twice[3].clone()]);
    }
}
