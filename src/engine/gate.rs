//! The questions as the edges ask them: finds the profile of the number, makes the step, hands the
//! reply back with what is needed to show it. Decides nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};

use crate::engine::{
    Error, Result,
    fact::{Event, NumberReport},
    pair::{Customer, Pair, PhoneNumberId},
    profile::Profile,
    step::{Command, NumberReply, NumberStep, Reply, Step},
    store::Store,
    time::{Millis, millis},
};

/// Steps of one batch that are under way at once: enough to share a group commit or a pipeline.
const BATCH_IN_FLIGHT: usize = 128;

/// The gate.
#[derive(Debug, Clone)]
pub struct Gate {
    store: Arc<dyn Store>,
    profiles: Arc<Profiles>,
}

/// Which profile judges which number.
#[derive(Debug)]
pub struct Profiles {
    default: Arc<Profile>,
    by_number: HashMap<PhoneNumberId, Arc<Profile>>,
    is_closed: bool,
}

impl Profiles {
    /// `default` judges every number that `by_number` does not name.
    pub fn new(default: Profile) -> Self {
        Self { default: Arc::new(default), by_number: HashMap::new(), is_closed: false }
    }

    /// Names a business number. From then on only named numbers are served by webhooks.
    pub fn name_number(&mut self, number: PhoneNumberId, profile: Option<Profile>) {
        self.is_closed = true;
        let profile = profile.map_or_else(|| Arc::clone(&self.default), Arc::new);
        self.by_number.insert(number, profile);
    }

    /// The profile that judges a number.
    pub fn of(&self, number: &PhoneNumberId) -> &Arc<Profile> {
        self.by_number.get(number).unwrap_or(&self.default)
    }

    /// Whether webhooks of this number are ours: all are, unless the configuration names numbers.
    pub fn serves(&self, number: &PhoneNumberId) -> bool {
        !self.is_closed || self.by_number.contains_key(number)
    }
}

/// Who asks, for the log.
#[derive(Debug, Clone, Default)]
pub struct Agent {
    /// "voice_agent" or "human_agent", or "".
    pub kind: &'static str,
    /// The caller's own name for it.
    pub id: String,
}

/// `WhatsApp`, or ordinary telephony to which the rules do not apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// The rules apply.
    #[default]
    WhatsApp,
    /// They do not.
    Pstn,
}

/// May this call be placed now?
#[derive(Debug)]
pub struct CallQuestion {
    /// On whom.
    pub pair: Pair,
    /// By whom.
    pub agent: Agent,
    /// How.
    pub channel: Channel,
    /// The attempt.
    pub call_id: String,
    /// How long the slot is held; `None`: by profile.
    pub lease: Option<Duration>,
}

/// Might this call be placed?
#[derive(Debug)]
pub struct CheckQuestion {
    /// On whom.
    pub pair: Pair,
    /// How.
    pub channel: Channel,
    /// As of then; unset: now.
    pub as_of: Millis,
}

/// May this permission request be sent now?
#[derive(Debug)]
pub struct RequestQuestion {
    /// To whom.
    pub pair: Pair,
    /// By whom.
    pub agent: Agent,
    /// The request.
    pub request_id: String,
    /// Ask although a permission is in effect.
    pub replace_permission: bool,
}

/// A reply, with what is needed to show it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// As it was asked for.
    pub pair: Pair,
    /// The rules that judged.
    pub profile: Arc<Profile>,
    /// What the rulebook said.
    pub reply: Reply,
}

impl Gate {
    /// A gate over a store.
    pub fn new(store: Arc<dyn Store>, profiles: Profiles) -> Self {
        Self { store, profiles: Arc::new(profiles) }
    }

    /// The store, for what needs no rules: quarantine, display numbers, its clock.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Which profile judges which number.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Decides, and on ALLOW on WhatsApp holds a call.
    ///
    /// # Errors
    /// See [`Store`]; `AlreadyExists` if the attempt is over.
    pub async fn authorize_call(&self, question: CallQuestion) -> Result<Answer> {
        let command = match question.channel {
            Channel::WhatsApp => Command::AuthorizeCall {
                own_id: question.call_id.clone(),
                lease: question.lease.map_or(0, millis),
            },
            Channel::Pstn => Command::View { as_of: Millis::ZERO },
        };
        let mut answer = self.apply(question.pair, command).await?;
        if question.channel == Channel::Pstn {
            answer.rules_do_not_apply();
        }
        answer.log("call", &question.call_id, &question.agent);
        Ok(answer)
    }

    /// Decides, and on ALLOW holds a permission request.
    ///
    /// # Errors
    /// See [`Store`]; `AlreadyExists` if the request was sent or refused already.
    pub async fn authorize_request(&self, question: RequestQuestion) -> Result<Answer> {
        let command = Command::AuthorizeRequest {
            own_id: question.request_id.clone(),
            replace: u8::from(question.replace_permission),
        };
        let answer = self.apply(question.pair, command).await?;
        answer.log("permission_request", &question.request_id, &question.agent);
        Ok(answer)
    }

    /// Joins one fact.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn record(&self, event: Event) -> Result<Answer> {
        let spelled = match event.pair.customer.wa() {
            Some(wa) if event.meta_spelling => wa.spelled().to_owned(),
            _ => String::new(),
        };
        let is_answered_call = event.fact.is_answered_call();
        let command = Command::Record {
            at: event.occurred_at,
            spelled,
            event_id: event.event_id,
            fact: event.fact,
        };
        let answer = self.apply(event.pair, command).await?;
        if is_answered_call {
            answer.count_excess();
        }
        Ok(answer)
    }

    /// Joins many facts; one result per event, same order. Each succeeds or fails alone.
    pub async fn record_all(&self, events: Vec<Event>) -> Vec<Result<Answer>> {
        stream::iter(events)
            .map(|event| self.record(event))
            .buffered(BATCH_IN_FLIGHT)
            .collect()
            .await
    }

    /// Judges many pairs as [`Gate::authorize_call`] would, holding nothing; same order.
    pub async fn check_calls(&self, checks: Vec<CheckQuestion>) -> Vec<Result<Answer>> {
        let command = |check: &CheckQuestion| match check.as_of.get() {
            None => Command::Check {},
            Some(as_of) => Command::CheckAt { as_of },
        };
        let steps = checks.iter().map(|check| self.step(&check.pair, command(check))).collect();
        let replies = self.store.read(steps).await;
        std::iter::zip(checks, replies)
            .map(|(check, reply)| {
                let mut answer = self.answer(check.pair, reply?)?;
                if check.channel == Channel::Pstn {
                    answer.rules_do_not_apply();
                }
                // What would have been is no decision.
                if check.as_of.get().is_none() {
                    answer.count("check");
                }
                Ok(answer)
            })
            .collect()
    }

    /// The whole state of a pair; `as_of` unset means now.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn permission(&self, pair: Pair, as_of: Millis) -> Result<Answer> {
        self.apply(pair, Command::View { as_of }).await
    }

    /// Reads a business number, or joins a report to it.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn number(
        &self,
        number: &PhoneNumberId,
        report: Option<NumberReport>,
    ) -> Result<NumberReply> {
        let reply = self.store.number(NumberStep { number, report, now: Millis::ZERO }).await?;
        if reply.field.is_empty() {
            Ok(reply)
        } else {
            Err(Error::Invalid { field: reply.field, problem: reply.problem })
        }
    }

    /// Erases a customer on one number, or on all. Returns on how many numbers there was anything.
    /// A repeated call goes on where a failed one stopped: what is erased stays erased.
    ///
    /// # Errors
    /// See [`Store`]; the text says how far it came.
    pub async fn forget(&self, number: Option<&PhoneNumberId>, customer: &Customer) -> Result<u32> {
        if let Some(number) = number {
            return Ok(u32::from(self.forget_on(number, customer).await?));
        }
        let mut forgotten = 0;
        for partition in 0..self.store.partitions() {
            forgotten += self.forget_in(partition, customer).await.map_err(|error| {
                let done = format!(
                    "erased on {partition} of {} partitions; repeat the call to go on: {error}",
                    self.store.partitions()
                );
                match error {
                    Error::DeadlineExceeded(_) => Error::DeadlineExceeded(done),
                    _ => Error::Unavailable(done),
                }
            })?;
        }
        self.store.forget_unfiled(customer).await?;
        Ok(forgotten)
    }

    async fn forget_on(&self, number: &PhoneNumberId, customer: &Customer) -> Result<bool> {
        self.store.forget(number, customer, self.profiles.of(number)).await
    }

    /// Tells the stream what time has changed, and returns the state with the end of the log at that
    /// instant.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn settle(&self, pair: Pair) -> Result<Answer> {
        self.apply(pair, Command::Settle {}).await
    }

    async fn forget_in(&self, partition: u16, customer: &Customer) -> Result<u32> {
        let mut forgotten = 0;
        for number in self.store.numbers(partition).await? {
            forgotten += u32::from(self.forget_on(&number, customer).await?);
        }
        Ok(forgotten)
    }

    async fn apply(&self, pair: Pair, command: Command) -> Result<Answer> {
        let reply = self.store.apply(self.step(&pair, command)).await?;
        self.answer(pair, reply)
    }

    fn step<'a>(&'a self, pair: &'a Pair, command: Command) -> Step<'a> {
        Step { pair, command, profile: self.profiles.of(&pair.number), now: Millis::ZERO }
    }

    fn answer(&self, pair: Pair, reply: Reply) -> Result<Answer> {
        match reply.refused.as_str() {
            "" => {
                let profile = Arc::clone(self.profiles.of(&pair.number));
                Ok(Answer { pair, profile, reply })
            }
            "exists" => Err(Error::AlreadyExists(reply.problem)),
            "full" => Err(Error::Exhausted(reply.problem)),
            _ => Err(Error::Invalid { field: reply.field, problem: reply.problem }),
        }
    }
}

impl Answer {
    /// `DECISION_ALLOW`.
    pub const ALLOW: u8 = 1;
    /// `REASON_RULES_NOT_APPLICABLE`.
    const RULES_NOT_APPLICABLE: u8 = 3;
    /// `EVENT_STATUS_RECORDED`.
    const RECORDED: u8 = 1;
    /// `NEXT_STEP_PLACE_CALL`.
    const PLACE_CALL: u8 = 1;

    /// Another channel than WhatsApp: always allowed, nothing is held.
    fn rules_do_not_apply(&mut self) {
        let reply = std::mem::take(&mut self.reply);
        self.reply = Reply {
            decision: Self::ALLOW,
            reason: Self::RULES_NOT_APPLICABLE,
            next_step: Self::PLACE_CALL,
            now: reply.now,
            view: reply.view,
            number: reply.number,
            ..Reply::default()
        };
    }

    fn decision(&self) -> &'static str {
        if self.reply.decision == Self::ALLOW { "allow" } else { "deny" }
    }

    /// An ALLOW never makes more calls count than a limit, but a report may: of a call that was never
    /// authorized here, or whose hold was gone before it was told.
    fn count_excess(&self) {
        let view = &self.reply.view;
        let quotas = [&view.quota_limit, &view.quota_used, &view.quota_held];
        for (index, quota) in ["window", "permission"].into_iter().enumerate() {
            let [limit, used, held] = quotas.map(|of| of.get(index).copied().unwrap_or(0));
            if self.reply.result == Self::RECORDED && limit > 0 && used.saturating_add(held) > limit
            {
                metrics::counter!("callgate_calls_over_limit_total", "quota" => quota).increment(1);
            }
        }
    }

    fn count(&self, mode: &'static str) {
        let reason = crate::engine::code::reason_name(self.reply.reason);
        metrics::counter!(
            "callgate_decisions_total",
            "decision" => self.decision(), "reason" => reason, "mode" => mode
        )
        .increment(1);
    }

    /// Every decision leaves one line.
    fn log(&self, question: &'static str, id: &str, agent: &Agent) {
        self.count(question);
        tracing::info!(
            target: "callgate::decision",
            question,
            id,
            decision = self.decision(),
            reason = crate::engine::code::reason_name(self.reply.reason),
            revision = self.reply.view.revision,
            replayed = self.reply.replayed != 0,
            agent_kind = agent.kind,
            agent = agent.id,
            profile = self.profile.name,
            phone_number_id = %self.pair.number,
            customer = ?self.pair.customer,
            "decided"
        );
    }
}
