//! Of which business numbers somebody may see, judge and hear.

use std::{collections::BTreeSet, sync::Arc};

use crate::engine::{Error, Result, pair::PhoneNumberId};

/// Business numbers that somebody may ask about. What is outside is as if it were not there: whether
/// anything is known of it is not told either.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// These alone.
    Numbers(Arc<BTreeSet<PhoneNumberId>>),
}

impl Scope {
    /// These alone.
    pub fn numbers(numbers: impl IntoIterator<Item = PhoneNumberId>) -> Self {
        Self::Numbers(Arc::new(numbers.into_iter().collect()))
    }

    /// Whether this one is inside.
    pub fn holds(&self, number: &PhoneNumberId) -> bool {
        match self {
            Self::All => true,
            Self::Numbers(numbers) => numbers.contains(number),
        }
    }

    /// Whether whatever is inside of `other` is inside of this.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Numbers(_), Self::All) => false,
            (Self::Numbers(mine), Self::Numbers(theirs)) => theirs.is_subset(mine),
        }
    }

    /// # Errors
    /// [`Error::NotPermitted`] for a number that is outside.
    pub fn check(&self, number: &PhoneNumberId) -> Result<()> {
        if self.holds(number) {
            return Ok(());
        }
        Err(Error::NotPermitted(format!(
            "this client may not ask about business number {number}: its `numbers` in the gate's \
             configuration do not name it"
        )))
    }

    /// # Errors
    /// [`Error::NotPermitted`] unless everything is inside: for `what`, which is of no one number.
    pub fn check_all(&self, what: &str) -> Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Numbers(_) => Err(Error::NotPermitted(format!(
                "{what} may be asked for by clients without `numbers` only: it is of no one number"
            ))),
        }
    }
}
