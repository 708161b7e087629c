//! A history that went wrong, as short as it gets.

use callgate::engine::profile::Profile;

use super::{
    play::{Deed, Difference, Game},
    quotas,
    scope::Scope,
    used::Used,
    write,
};
use crate::stories::host::Host;

/// Where a random history went wrong.
pub struct Failed {
    pub profile: Profile,
    pub deeds: Vec<Deed>,
    pub difference: Difference,
}

pub fn game<'a>(host: &'a dyn Host, profile: &Profile, scope: Scope) -> Game<'a> {
    let mut game = Game::new(host, profile.clone());
    game.referee.remembers_erasures_for = scope.remembers_erasures_for;
    game.counts_revisions = scope.ids.len() == 1;
    game
}

async fn replay(
    host: &dyn Host,
    profile: &Profile,
    scope: Scope,
    deeds: &[Deed],
) -> Option<(usize, Difference)> {
    let mut game = game(host, profile, scope);
    let mut used = Used::default();
    if !deeds.iter().all(|deed| used.allows(deed, quotas::horizon(profile), scope)) {
        return None;
    }
    for (n, deed) in deeds.iter().enumerate() {
        if let Err(difference) = game.play(deed).await {
            return Some((n, difference));
        }
    }
    None
}

/// Leaves out whatever can be left out, and tells the rest as a story.
pub async fn shortest(host: &dyn Host, scope: Scope, failed: Failed) -> String {
    let Failed { profile, mut deeds, mut difference } = failed;
    let profile = &profile;
    let mut is_shorter = true;
    while is_shorter {
        is_shorter = false;
        for n in (0..deeds.len()).rev() {
            let mut fewer = deeds.clone();
            fewer.remove(n);
            if let Some((last, other)) = replay(host, profile, scope, &fewer).await {
                fewer.truncate(last + 1);
                (deeds, difference, is_shorter) = (fewer, other, true);
                break;
            }
        }
        for n in 0..deeds.len() {
            for simpler in write::simpler(&deeds[n]) {
                let mut fewer = deeds.clone();
                fewer[n] = simpler;
                if let Some((last, other)) = replay(host, profile, scope, &fewer).await {
                    fewer.truncate(last + 1);
                    (deeds, difference, is_shorter) = (fewer, other, true);
                    break;
                }
            }
            if n + 1 >= deeds.len() {
                break;
            }
        }
    }
    told(host, profile, &deeds, &difference)
}

pub fn told(host: &dyn Host, profile: &Profile, deeds: &[Deed], difference: &Difference) -> String {
    format!("on {}:\n{}\n{}", host.name(), write::story(profile, deeds), difference)
}
