//! The middle column: what is done to the pair.

use std::vec::IntoIter;

use callgate::engine::{
    fact::{
        CallOutcome, CallReport, Fact, InboundCall, InboundMessage, NumberReport, Reply,
        RequestOutcome, RequestReport, Told,
    },
    pair::Customer,
    step::Command,
    time::Millis,
};

use super::moment::{instant, span};

/// What a row does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// A command on the pair.
    Pair(Customer, Command),
    /// A report on the business number, or a look at it.
    Number(Option<NumberReport>),
    /// The customer is forgotten.
    Forget(Customer),
}

/// Reads the column.
pub(crate) fn parse(text: &str, start: Millis) -> Result<Act, String> {
    let mut words = Words::of(text, start);
    let verb = words.next()?;
    let act = match verb.as_str() {
        "number" => words.number()?,
        "forget" => Act::Forget(words.customer()?),
        _ => {
            let command = words.command(&verb)?;
            Act::Pair(words.customer()?, command)
        }
    };
    words.end()?;
    Ok(act)
}

/// What is still to be read. Options that any command takes are set aside first.
struct Words {
    rest: IntoIter<String>,
    peeked: Option<String>,
    at: Millis,
    who: String,
    spelled: bool,
    start: Millis,
    problem: Option<String>,
}

impl Words {
    fn of(text: &str, start: Millis) -> Self {
        let mut rest = Vec::new();
        let mut words = text.split_whitespace().map(str::to_owned);
        let (mut at, mut who, mut spelled, mut problem) =
            (Millis::ZERO, "A".to_owned(), false, None);
        while let Some(word) = words.next() {
            match word.strip_prefix('@') {
                Some(time) => match instant(time, start) {
                    Ok(time) => at = time,
                    Err(error) => problem = Some(error),
                },
                None if word == "as" => who = words.next().unwrap_or_default(),
                None if word == "spelled" => spelled = true,
                None => rest.push(word),
            }
        }
        Self { rest: rest.into_iter(), peeked: None, at, who, spelled, start, problem }
    }

    fn peek(&mut self) -> Option<&str> {
        if self.peeked.is_none() {
            self.peeked = self.rest.next();
        }
        self.peeked.as_deref()
    }

    fn next(&mut self) -> Result<String, String> {
        let word = self.peeked.take().or_else(|| self.rest.next());
        word.ok_or_else(|| "the command ends too early".to_owned())
    }

    /// Takes the word if it is the next one.
    fn has(&mut self, word: &str) -> bool {
        let is_next = self.peek() == Some(word);
        if is_next {
            self.peeked = None;
        }
        is_next
    }

    /// Takes `word TIME` if it is next.
    fn time_after(&mut self, word: &str) -> Result<Millis, String> {
        if !self.has(word) {
            return Ok(Millis::ZERO);
        }
        let text = self.next()?;
        instant(&text, self.start)
    }

    /// `own`, `own/provider` or `/provider`.
    fn ids(&mut self) -> Result<(String, String), String> {
        let word = self.next()?;
        let (own, provider) = word.split_once('/').unwrap_or((&word, ""));
        Ok((own.to_owned(), provider.to_owned()))
    }

    fn end(&mut self) -> Result<(), String> {
        match (self.problem.take(), self.peek()) {
            (Some(problem), _) => Err(problem),
            (None, Some(word)) => Err(format!("{word:?} is not understood here")),
            (None, None) => Ok(()),
        }
    }

    /// `A` and `B` have WhatsApp ids, `U` and `V` user ids; both with `+`; others are spelled out.
    fn customer(&mut self) -> Result<Customer, String> {
        let (mut wa, mut user) = (String::new(), String::new());
        for part in self.who.split('+') {
            match part {
                "A" => "15550199001".clone_into(&mut wa),
                "B" => "15550199002".clone_into(&mut wa),
                "U" => "US.1000".clone_into(&mut user),
                "V" => "US.2000".clone_into(&mut user),
                _ if part.contains('.') => part.clone_into(&mut user),
                _ => part.clone_into(&mut wa),
            }
        }
        Customer::parse(&wa, &user, "customer").map_err(|error| error.to_string())
    }

    fn command(&mut self, verb: &str) -> Result<Command, String> {
        let fact = match verb {
            "request" => self.request()?,
            "accept" | "reject" => self.reply(verb == "accept")?,
            "inbound" => self.inbound()?,
            "call" => self.call()?,
            "identity" => Fact::Identity {},
            "authorize" => return self.authorize(),
            "authorize-request" => {
                let own_id = self.next()?;
                return Ok(Command::AuthorizeRequest {
                    own_id,
                    replace: u8::from(self.has("replace")),
                });
            }
            "check" => {
                return Ok(match self.time_after("as_of")? {
                    Millis::ZERO => Command::Check {},
                    as_of => Command::CheckAt { as_of },
                });
            }
            "settle" => return Ok(Command::Settle {}),
            "view" => return Ok(Command::View { as_of: self.time_after("as_of")? }),
            _ => return Err(format!("{verb:?} is no command")),
        };
        let spelled = match self.customer()?.wa() {
            Some(wa) if self.spelled => wa.spelled().to_owned(),
            _ => String::new(),
        };
        Ok(Command::Record { at: self.at, spelled, event_id: String::new(), fact })
    }

    fn authorize(&mut self) -> Result<Command, String> {
        let own_id = self.next()?;
        let lease = if self.has("lease") { span(&self.next()?)? } else { 0 };
        Ok(Command::AuthorizeCall { own_id, lease })
    }

    fn request(&mut self) -> Result<Fact, String> {
        let (request_id, provider_message_id) = self.ids()?;
        let outcome = match self.next()?.as_str() {
            "refused" => RequestOutcome::Refused,
            "sent" => RequestOutcome::Sent,
            "undelivered" => RequestOutcome::Undelivered,
            "delivered" => RequestOutcome::Delivered,
            other => return Err(format!("{other:?} is no outcome of a request")),
        };
        let known_only = self.has("known_only");
        Ok(Fact::Request(RequestReport { request_id, provider_message_id, outcome, known_only }))
    }

    fn reply(&mut self, accept: bool) -> Result<Fact, String> {
        let mut reply = Reply {
            accept,
            permanent: self.has("permanent"),
            automatic: self.has("automatic"),
            expires_at: Millis::ZERO,
            request_id: String::new(),
        };
        if self.has("to") {
            reply.request_id = self.next()?;
        }
        reply.expires_at = self.time_after("expires")?;
        Ok(Fact::Reply(reply))
    }

    fn inbound(&mut self) -> Result<Fact, String> {
        if self.has("message") {
            return Ok(Fact::InboundMessage(InboundMessage { provider_message_id: String::new() }));
        }
        if !self.has("call") {
            return Err("inbound what? `call` or `message`".to_owned());
        }
        let answered = self.has("answered");
        Ok(Fact::InboundCall(InboundCall { provider_call_id: String::new(), answered }))
    }

    fn call(&mut self) -> Result<Fact, String> {
        let (call_id, provider_call_id) = self.ids()?;
        let outcome = match self.next()?.as_str() {
            "not_placed" => CallOutcome::NotPlaced,
            "placed" => CallOutcome::Placed,
            "ringing" => CallOutcome::Ringing,
            "failed" => CallOutcome::Failed,
            "canceled" => CallOutcome::Canceled,
            "unanswered" => CallOutcome::Unanswered,
            "rejected" => CallOutcome::Rejected,
            "uncertain" => CallOutcome::Uncertain,
            "answered" => CallOutcome::Answered,
            other => return Err(format!("{other:?} is no outcome of a call")),
        };
        let mut report = CallReport {
            call_id,
            provider_call_id,
            outcome,
            error: 0,
            placed_at: self.time_after("dialled")?,
            answered_at: self.time_after("picked_up")?,
            ended_at: self.time_after("ended")?,
            pstn: false,
        };
        if self.has("error") {
            let code = self.next()?;
            report.error = code.parse().map_err(|_| format!("{code:?} is no error code"))?;
        }
        report.pstn = self.has("pstn");
        Ok(Fact::Call(report))
    }

    fn number(&mut self) -> Result<Act, String> {
        let mut report = NumberReport { at: self.at, ..NumberReport::default() };
        match self.next()?.as_str() {
            "look" => return Ok(Act::Number(None)),
            "calling" => report.calling = self.told("enabled", "disabled")?,
            "grants_inbound" => report.inbound_call_grants = self.told("yes", "no")?,
            "resumed" => report.pause = Told::No,
            "paused" => {
                report.pause = Told::Yes;
                report.paused_until = self.time_after("until")?;
            }
            "requests" => {
                report.request_pause = self.told("paused", "resumed")?;
                report.requests_paused_until = self.time_after("until")?;
            }
            other => return Err(format!("number {other:?} is not understood")),
        }
        Ok(Act::Number(Some(report)))
    }

    fn told(&mut self, yes: &str, no: &str) -> Result<Told, String> {
        match self.next()? {
            word if word == yes => Ok(Told::Yes),
            word if word == no => Ok(Told::No),
            word => Err(format!("{word:?}: write {yes} or {no}")),
        }
    }
}

#[test]
fn commands_are_read() {
    let start = Millis(1_000_000_000);
    let Act::Pair(customer, command) =
        parse("call c1/w1 answered dialled +1s ended +9s error 7 @+2m as B+U", start).unwrap()
    else {
        panic!("a command on a pair");
    };
    assert_eq!(customer, Customer::parse("15550199002", "US.1000", "").unwrap());
    let expected = Command::Record {
        at: Millis(1_000_120_000),
        spelled: String::new(),
        event_id: String::new(),
        fact: Fact::Call(CallReport {
            call_id: "c1".to_owned(),
            provider_call_id: "w1".to_owned(),
            outcome: CallOutcome::Answered,
            error: 7,
            placed_at: Millis(1_000_001_000),
            answered_at: Millis::ZERO,
            ended_at: Millis(1_000_009_000),
            pstn: false,
        }),
    };
    assert_eq!(command, expected);
    for text in ["", "call c1", "call c1 lost", "accept gladly", "view as_of", "check @5"] {
        assert!(parse(text, start).is_err(), "{text}");
    }
}
