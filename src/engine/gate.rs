//! The questions as the edges ask them: finds the profile of the number, makes the step, hands the
//! reply back with what is needed to show it. Decides nothing.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::{StreamExt as _, stream};

use crate::engine::{
    Error, Result,
    fact::{Event, NumberReport},
    pair::{Customer, Pair, PhoneNumberId},
    profile::Profile,
    scope::Scope,
    step::{Command, NumberReply, NumberStep, Reply, Step},
    store::{Quarantined, Store},
    tally,
    time::{Millis, millis},
};
use crate::trace;

/// Steps of one batch that are under way at once: enough to share a group commit or a pipeline.
const BATCH_IN_FLIGHT: usize = 128;
/// Quarantined webhooks that are looked through for those of some numbers: each may be large.
const QUARANTINED_READ_MAX: usize = 1000;

/// The gate, as far as who asks may look. Each of its questions checks the [`Scope`], so that no front
/// door can forget to.
#[derive(Debug, Clone)]
pub struct Gate {
    store: Arc<dyn Store>,
    profiles: Arc<ArcSwap<Profiles>>,
    scope: Scope,
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
    /// By whom; it may be nobody.
    pub agent: Agent,
    /// How.
    pub channel: Channel,
    /// As of then; unset: now.
    pub as_of: Millis,
}

impl CheckQuestion {
    fn command(&self) -> Command {
        match self.as_of.get() {
            None => Command::Check {},
            Some(as_of) => Command::CheckAt { as_of },
        }
    }
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

/// Where a customer is not erased, though that was tried.
#[derive(Debug, Default)]
struct Kept {
    count: usize,
    first: Option<(PhoneNumberId, Error)>,
}

impl Kept {
    fn or<T>(self, done: T) -> Result<T> {
        let Some((number, error)) = self.first else { return Ok(done) };
        let others = match self.count - 1 {
            0 => String::new(),
            others => format!(" and {others} more, which the log names"),
        };
        Err(Error::Internal(format!("erased everywhere but on number {number}{others}: {error}")))
    }
}

impl Gate {
    /// A gate over a store, for everything.
    pub fn new(store: Arc<dyn Store>, profiles: Profiles) -> Self {
        Self { store, profiles: Arc::new(ArcSwap::from_pointee(profiles)), scope: Scope::All }
    }

    /// The same gate for somebody who may not look further than this.
    #[must_use]
    pub fn within(&self, scope: Scope) -> Self {
        Self { scope, ..self.clone() }
    }

    /// How far who asks may look.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The store, for what needs no rules: quarantine, display numbers, its clock.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Which profile judges which number, now.
    pub fn profiles(&self) -> Arc<Profiles> {
        self.profiles.load_full()
    }

    /// Other profiles judge from the next question on, for every clone of this gate. A step that has
    /// begun ends by the rules that it began with.
    pub fn judge_by(&self, profiles: Profiles) {
        self.profiles.store(Arc::new(profiles));
    }

    fn profile_of(&self, number: &PhoneNumberId) -> Arc<Profile> {
        Arc::clone(self.profiles.load().of(number))
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
            Channel::Pstn => Command::Check {},
        };
        let mut answer = self.apply(question.pair, command).await?;
        if question.channel == Channel::Pstn {
            answer.rules_do_not_apply();
        } else if answer.is_new_hold() {
            tally::held();
        }
        answer.log("call", &question.call_id, &question.agent, question.channel);
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
        answer.log("permission_request", &question.request_id, &question.agent, Channel::WhatsApp);
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
    ///
    /// # Errors
    /// `NotPermitted` if one of them is outside the scope; then none is recorded.
    pub async fn record_all(&self, events: Vec<Event>) -> Result<Vec<Result<Answer>>> {
        self.check_all(events.iter().map(|event| &event.pair))?;
        let record = |event| self.record(event);
        Ok(stream::iter(events).map(record).buffered(BATCH_IN_FLIGHT).collect().await)
    }

    /// Judges many pairs as [`Gate::authorize_call`] would, holding nothing; same order.
    ///
    /// # Errors
    /// `NotPermitted` if one of them is outside the scope; then none is judged.
    pub async fn check_calls(&self, checks: Vec<CheckQuestion>) -> Result<Vec<Result<Answer>>> {
        self.check_all(checks.iter().map(|check| &check.pair))?;
        let profiles: Vec<_> =
            checks.iter().map(|check| self.profile_of(&check.pair.number)).collect();
        let steps = std::iter::zip(&checks, &profiles).map(|(check, profile)| Step {
            pair: &check.pair,
            command: check.command(),
            profile,
            now: Millis::ZERO,
        });
        let replies = self.store.read(steps.collect()).await;
        let questions = std::iter::zip(checks, profiles);
        let answers = std::iter::zip(questions, replies).map(|((check, profile), reply)| {
            let mut answer = answer(check.pair, profile, reply?)?;
            if check.channel == Channel::Pstn {
                answer.rules_do_not_apply();
            }
            // What would have been is no decision.
            if check.as_of.get().is_none() {
                answer.count("check", &check.agent, check.channel);
            }
            Ok(answer)
        });
        Ok(answers.collect())
    }

    fn check_all<'a>(&self, pairs: impl IntoIterator<Item = &'a Pair>) -> Result<()> {
        pairs.into_iter().try_for_each(|pair| self.scope.check(&pair.number))
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
        self.scope.check(number)?;
        let mut report = report;
        if let Some(report) = report.as_mut().filter(|report| report.at == Millis::ZERO) {
            // Fixed before it is sent, by the clock that it will be judged by: sent again, or late, it is as old
            // as it was when it was asked for.
            let asked = NumberStep { number, report: None, now: Millis::ZERO };
            report.at = self.store.number(asked).await?.now;
        }
        let reply = self.store.number(NumberStep { number, report, now: Millis::ZERO }).await?;
        if reply.field.is_empty() {
            Ok(reply)
        } else {
            Err(Error::Invalid { field: reply.field, problem: reply.problem })
        }
    }

    /// As whom the store keeps a customer, if not under these ids: so streams of all changes name them.
    pub fn pseudonym(&self, customer: &Customer) -> Option<Customer> {
        let kept = self.store.kept(customer);
        (kept != *customer).then_some(kept)
    }

    /// Erases a customer on one number, or on all of the scope. Returns on how many numbers there was
    /// anything. A repeated call goes on where a failed one stopped: what is erased stays erased. What cannot be
    /// erased, since it cannot be read, keeps nothing else.
    ///
    /// # Errors
    /// See [`Store`]; the text says how far it came.
    pub async fn forget(&self, number: Option<&PhoneNumberId>, customer: &Customer) -> Result<u32> {
        match (number, &self.scope) {
            (Some(number), _) => {
                self.scope.check(number)?;
                Ok(u32::from(self.forget_on(number, customer).await?))
            }
            (None, Scope::Numbers(numbers)) => {
                let mut kept = Kept::default();
                let forgotten = self.forget_on_each(numbers.iter(), customer, &mut kept).await?;
                kept.or(forgotten)
            }
            (None, Scope::All) => self.forget_everywhere(customer).await,
        }
    }

    async fn forget_everywhere(&self, customer: &Customer) -> Result<u32> {
        let (mut forgotten, mut kept) = (0, Kept::default());
        for partition in 0..self.store.partitions() {
            let erased = self.forget_in(partition, customer, &mut kept).await;
            forgotten += erased.map_err(|error| {
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
        kept.or(forgotten)
    }

    async fn forget_on(&self, number: &PhoneNumberId, customer: &Customer) -> Result<bool> {
        self.store.forget(number, customer, &self.profile_of(number)).await
    }

    /// Webhooks that were kept aside, oldest first, at most `limit`: those of the scope, where that is of
    /// some numbers among the oldest 1000 of the store.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        let limit_read = match self.scope {
            Scope::All => limit,
            // Those of others are read as well, and are not counted.
            Scope::Numbers(_) => QUARANTINED_READ_MAX,
        };
        let mut kept = self.store.quarantined(limit_read).await?;
        kept.retain(|entry| self.may_see(entry));
        kept.truncate(limit);
        Ok(kept)
    }

    /// One of them; `None` if there is none, or it is of a number outside the scope, or of none.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        let kept = self.store.quarantined_by_id(id).await?;
        Ok(kept.filter(|entry| self.may_see(entry)))
    }

    fn may_see(&self, entry: &Quarantined) -> bool {
        match PhoneNumberId::parse(&entry.phone_number_id, "") {
            Ok(number) => self.scope.holds(&number),
            Err(_) => self.scope == Scope::All,
        }
    }

    /// Tells the stream what time has changed, and returns the state with the end of the log at that
    /// instant.
    ///
    /// # Errors
    /// See [`Store`].
    pub async fn settle(&self, pair: Pair) -> Result<Answer> {
        self.apply(pair, Command::Settle {}).await
    }

    async fn forget_in(&self, partition: u16, customer: &Customer, kept: &mut Kept) -> Result<u32> {
        let numbers = self.store.numbers(partition).await?;
        self.forget_on_each(numbers.iter(), customer, kept).await
    }

    /// On how many of them there was anything. Where an error will not pass, the others are gone on with.
    async fn forget_on_each(
        &self,
        numbers: impl Iterator<Item = &PhoneNumberId>,
        customer: &Customer,
        kept: &mut Kept,
    ) -> Result<u32> {
        let mut forgotten = 0;
        for number in numbers {
            match self.forget_on(number, customer).await {
                Ok(erased) => forgotten += u32::from(erased),
                Err(error) if error.passes() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, %number, "a customer is not erased here");
                    kept.count += 1;
                    kept.first.get_or_insert_with(|| (number.clone(), error));
                }
            }
        }
        Ok(forgotten)
    }

    async fn apply(&self, pair: Pair, command: Command) -> Result<Answer> {
        self.scope.check(&pair.number)?;
        let profile = self.profile_of(&pair.number);
        let step = Step { pair: &pair, command, profile: &profile, now: Millis::ZERO };
        let reply = self.store.apply(step).await?;
        tally::step(&reply);
        answer(pair, profile, reply)
    }
}

fn answer(pair: Pair, profile: Arc<Profile>, reply: Reply) -> Result<Answer> {
    match reply.refused.as_str() {
        "" => Ok(Answer { pair, profile, reply }),
        "exists" => Err(Error::AlreadyExists(reply.problem)),
        "full" => Err(Error::Exhausted(reply.problem)),
        _ => Err(Error::Invalid { field: reply.field, problem: reply.problem }),
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

    fn is_new_hold(&self) -> bool {
        self.reply.decision == Self::ALLOW && self.reply.replayed == 0
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

    fn reason(&self) -> &'static str {
        crate::engine::code::reason_name(self.reply.reason)
    }

    fn count(&self, mode: &'static str, agent: &Agent, channel: Channel) {
        metrics::counter!(
            "callgate_decisions_total",
            "decision" => self.decision(), "reason" => self.reason(), "mode" => mode,
            "agent_kind" => tally::agent_kind(agent), "channel" => tally::channel(channel)
        )
        .increment(1);
    }

    /// Every decision leaves one line, and stands in the span of its call.
    fn log(&self, question: &'static str, id: &str, agent: &Agent, channel: Channel) {
        self.count(question, agent, channel);
        trace::note("callgate.decision", self.decision());
        trace::note("callgate.reason", self.reason());
        if trace::is_on() {
            trace::note("callgate.profile", self.profile.name.clone());
        }
        tracing::info!(
            target: "callgate::decision",
            question,
            id,
            decision = self.decision(),
            reason = self.reason(),
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
