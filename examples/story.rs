//! A short story against a running gate, through its real ports: Meta's signed webhooks go in over
//! HTTP, questions are asked over gRPC. `make run` starts a gate and plays it.
//!
//! ```text
//! CALLGATE_META_APP_SECRET=… cargo run --example story -- http://127.0.0.1:50051 http://127.0.0.1:8080
//! ```
//!
//! The gate serves the configuration `examples/story.toml`: the profile `atom`, and a second number
//! whose windows are seconds. Customers are made up afresh for each run, so that it can be played
//! again on the same store.

use std::{env, error::Error, process::ExitCode, time::Duration};

use callgate::proto::{
    Agent, AgentKind, AuthorizeCallRequest, AuthorizeCallResponse,
    AuthorizePermissionRequestRequest, ChangeCause, Channel, Customer, Decision, Event,
    GetPermissionRequest, Pair, PermissionRequestReport, PermissionStatus, Reason,
    RecordEventsRequest, RequestOutcome, WatchPermissionsRequest, WatchPermissionsResponse,
    call_permission_service_client::CallPermissionServiceClient, event::Fact,
    watch_permissions_response::Message,
};
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tonic::{Streaming, transport::Channel as Connection};

type Outcome<T> = Result<T, Box<dyn Error>>;

const NUMBER: &str = "436666719526789";
const DISPLAY: &str = "15550100001";
/// The number whose windows are seconds.
const QUICK_NUMBER: &str = "436666719526790";
/// Longer than any of its windows.
const PATIENCE: Duration = Duration::from_secs(20);

struct Story {
    gate: CallPermissionServiceClient<Connection>,
    http: reqwest::Client,
    webhook: String,
    secret: String,
    number: &'static str,
    now: i64,
    run: String,
    surprises: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match play().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(surprises) => {
            eprintln!("{surprises} answers were not what the story expects");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the story broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play() -> Outcome<u32> {
    let mut args = env::args().skip(1);
    let grpc = args.next().unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let http = args.next().unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    let mut story = Story::open(grpc, &http).await?;
    story.five_calls_and_the_sixth().await?;
    story.four_misses().await?;
    story.carla_declines().await?;
    story.ordinary_telephony().await?;
    story.time_passes().await?;
    println!("\nEverything above is kept. Look at it yourself:");
    println!("  callgate inspect {NUMBER} {}", story.customer(1));
    println!("  callgate check   {NUMBER} {}", story.customer(2));
    Ok(story.surprises)
}

// ---- the story ---------------------------------------------------------------------------------

impl Story {
    async fn five_calls_and_the_sixth(&mut self) -> Outcome<()> {
        let ana = self.customer(1);
        chapter("Ana is asked, accepts, and is called five times");
        self.ask("voice agent", &ana, "ana-0", AgentKind::VoiceAgent, Reason::NeverAsked).await?;
        self.request_permission(&ana).await?;
        self.ask("voice agent", &ana, "ana-0", AgentKind::VoiceAgent, Reason::AwaitingReply)
            .await?;
        self.meta("Ana taps \"allow for 7 days\"", self.reply(&ana, "accept")).await?;
        for call in 1..=5 {
            let (who, kind) = if call % 2 == 1 {
                ("voice agent", AgentKind::VoiceAgent)
            } else {
                ("human agent", AgentKind::HumanAgent)
            };
            let id = format!("ana-{call}");
            self.ask(who, &ana, &id, kind, Reason::TemporaryPermission).await?;
            let answered = self.terminate(&ana, &id, true);
            self.meta(&format!("call {id}: Ana picks up, 42 s"), answered).await?;
        }
        self.ask("voice agent", &ana, "ana-6", AgentKind::VoiceAgent, Reason::CallWindowLimit).await
    }

    async fn four_misses(&mut self) -> Outcome<()> {
        let beto = self.customer(2);
        chapter("Beto accepts, and never picks up");
        self.meta("Beto taps \"allow for 7 days\"", self.reply(&beto, "accept")).await?;
        for call in 1..=4 {
            let id = format!("beto-{call}");
            self.ask("human agent", &beto, &id, AgentKind::HumanAgent, Reason::TemporaryPermission)
                .await?;
            let missed = self.terminate(&beto, &id, false);
            self.meta(&format!("call {id}: rings out"), missed).await?;
        }
        self.ask("human agent", &beto, "beto-5", AgentKind::HumanAgent, Reason::AutoRevoked).await
    }

    async fn carla_declines(&mut self) -> Outcome<()> {
        let carla = self.customer(3);
        chapter("Carla declines");
        self.meta("Carla taps \"don't allow\"", self.reply(&carla, "reject")).await?;
        self.ask("voice agent", &carla, "carla-1", AgentKind::VoiceAgent, Reason::Rejected).await
    }

    async fn ordinary_telephony(&mut self) -> Outcome<()> {
        let carla = self.customer(3);
        chapter("The same Carla over Twilio: no WhatsApp, no WhatsApp rules");
        let question = self.question(&carla, "carla-pstn", AgentKind::VoiceAgent, Channel::Pstn);
        let answer = self.gate.authorize_call(question).await?.into_inner();
        println!("  ? voice agent, ordinary telephony: may I call {carla}?");
        self.told(&answer, Reason::RulesNotApplicable);
        let status = self.status(&carla).await?;
        println!("    (on WhatsApp she is still {})", status.as_str_name());
        Ok(())
    }

    /// Nobody reports that time passes: the stream tells.
    async fn time_passes(&mut self) -> Outcome<()> {
        let dora = self.customer(4);
        chapter(
            "Dora, on a number whose windows are seconds: what time does is told as it happens",
        );
        self.number = QUICK_NUMBER;
        self.now = chrono_now();
        let mut changes = self.watch(&dora).await?;
        self.request_permission(&dora).await?;
        self.hear(&mut changes, ChangeCause::RequestSent).await?;
        self.hear(&mut changes, ChangeCause::RequestLapsed).await?;
        self.now = chrono_now();
        self.meta(
            "Dora gives permission in the chat's menu",
            self.reply_for(&dora, "accept", None),
        )
        .await?;
        self.hear(&mut changes, ChangeCause::Accepted).await?;
        self.ask(
            "voice agent",
            &dora,
            "dora-1",
            AgentKind::VoiceAgent,
            Reason::TemporaryPermission,
        )
        .await?;
        self.hear(&mut changes, ChangeCause::LimitReached).await?;
        self.now = chrono_now();
        let answered = self.terminate(&dora, "dora-1", true);
        self.meta("call dora-1: Dora picks up", answered).await?;
        self.hear(&mut changes, ChangeCause::LimitFreed).await?;
        self.hear(&mut changes, ChangeCause::ExpiringSoon).await?;
        self.hear(&mut changes, ChangeCause::Expired).await
    }

    async fn watch(&mut self, customer: &str) -> Outcome<Streaming<WatchPermissionsResponse>> {
        let request = WatchPermissionsRequest {
            pairs: vec![self.pair(customer)],
            ..WatchPermissionsRequest::default()
        };
        let mut changes = self.gate.watch_permissions(request).await?.into_inner();
        // The first message comes at once: from here on nothing is missed.
        changes.message().await?;
        Ok(changes)
    }

    /// Waits for the next change and prints it.
    async fn hear(
        &mut self,
        changes: &mut Streaming<WatchPermissionsResponse>,
        expected: ChangeCause,
    ) -> Outcome<()> {
        let change = loop {
            let next = tokio::time::timeout(PATIENCE, changes.message()).await??;
            match next.ok_or("the stream ended")?.message {
                Some(Message::Change(change)) => break change,
                _ => continue,
            }
        };
        let now = change.permission.clone().unwrap_or_default().status();
        println!(
            "  ~ {}: {} -> {}",
            short(change.cause().as_str_name()),
            short(change.previous_status().as_str_name()),
            short(now.as_str_name()),
        );
        if change.cause() != expected {
            println!("    ! the story expects {}", short(expected.as_str_name()));
            self.surprises += 1;
        }
        Ok(())
    }
}

/// Without the prefix of the enum.
fn short(name: &str) -> &str {
    name.trim_start_matches("CHANGE_CAUSE_").trim_start_matches("PERMISSION_STATUS_")
}

// ---- asking and telling ------------------------------------------------------------------------

impl Story {
    async fn open(grpc: String, http: &str) -> Outcome<Self> {
        let now = chrono_now();
        Ok(Self {
            gate: CallPermissionServiceClient::connect(grpc).await?,
            http: reqwest::Client::new(),
            webhook: format!("{http}/webhooks/meta"),
            secret: env::var("CALLGATE_META_APP_SECRET")?,
            number: NUMBER,
            now,
            run: format!("{:06}", now % 1_000_000),
            surprises: 0,
        })
    }

    fn customer(&self, n: u8) -> String {
        format!("1555{}{n}", self.run)
    }

    fn question(
        &self,
        customer: &str,
        id: &str,
        kind: AgentKind,
        channel: Channel,
    ) -> AuthorizeCallRequest {
        AuthorizeCallRequest {
            pair: Some(self.pair(customer)),
            agent: Some(Agent { kind: kind.into(), id: "story".to_owned() }),
            channel: channel.into(),
            call_id: id.to_owned(),
            lease: None,
        }
    }

    fn pair(&self, customer: &str) -> Pair {
        Pair {
            phone_number_id: self.number.to_owned(),
            customer: Some(Customer { wa_id: customer.to_owned(), user_id: String::new() }),
        }
    }

    /// Asks whether a permission request may be sent, and tells that it was.
    async fn request_permission(&mut self, customer: &str) -> Outcome<()> {
        println!("  ? human agent: may I ask {customer} for permission?");
        let question = AuthorizePermissionRequestRequest {
            pair: Some(self.pair(customer)),
            agent: Some(Agent { kind: AgentKind::HumanAgent.into(), id: "story".to_owned() }),
            request_id: String::new(),
            replace_permission: false,
        };
        let answer = self.gate.authorize_permission_request(question).await?.into_inner();
        println!("    {} {}", verdict(answer.decision()), answer.explanation);
        let sent = PermissionRequestReport {
            request_id: answer.request_id,
            provider_message_id: format!("wamid.request.{customer}"),
            outcome: RequestOutcome::Sent.into(),
        };
        let event = Event {
            event_id: format!("sent-{customer}"),
            pair: Some(self.pair(customer)),
            occurred_at: Some(prost_types::Timestamp { seconds: self.now, nanos: 0 }),
            fact: Some(Fact::Request(sent)),
        };
        self.gate.record_events(RecordEventsRequest { events: vec![event] }).await?;
        println!("  > the bot: the request was sent");
        Ok(())
    }

    /// Asks AuthorizeCall, prints question and answer.
    async fn ask(
        &mut self,
        who: &str,
        customer: &str,
        id: &str,
        kind: AgentKind,
        expected: Reason,
    ) -> Outcome<()> {
        println!("  ? {who}: may I call {customer}? (call_id {id})");
        let question = self.question(customer, id, kind, Channel::Whatsapp);
        let answer = self.gate.authorize_call(question).await?.into_inner();
        self.told(&answer, expected);
        Ok(())
    }

    fn told(&mut self, answer: &AuthorizeCallResponse, expected: Reason) {
        let reason = answer.reason().as_str_name();
        println!("    {} {reason}: {}", verdict(answer.decision()), answer.explanation);
        if let Some(at) = answer.callable_at {
            println!("          callable at {}", utc(at.seconds));
        }
        for warning in &answer.warnings {
            println!("          warning: {}", warning.text);
        }
        if answer.reason() != expected {
            println!("          ! the story expects {}", expected.as_str_name());
            self.surprises += 1;
        }
    }

    async fn status(&mut self, customer: &str) -> Outcome<PermissionStatus> {
        let request = GetPermissionRequest { pair: Some(self.pair(customer)), as_of: None };
        let answer = self.gate.get_permission(request).await?.into_inner();
        Ok(answer.permission.unwrap_or_default().status())
    }

    /// Posts a webhook as Meta does: signed over the raw bytes.
    async fn meta(&mut self, what: &str, change: Value) -> Outcome<()> {
        let body = json!({
            "object": "whatsapp_business_account",
            "entry": [{"id": "900000000000001", "time": self.now, "changes": [change]}],
        })
        .to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())?;
        mac.update(body.as_bytes());
        let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let response = self
            .http
            .post(&self.webhook)
            .header("x-hub-signature-256", signature)
            .body(body)
            .send()
            .await?;
        println!("  > Meta: {what} ({})", response.status());
        response.error_for_status()?;
        Ok(())
    }

    fn reply(&self, customer: &str, response: &str) -> Value {
        self.reply_for(customer, response, Some(7 * 24 * 3600))
    }

    /// `lasts`: the seconds that an accept tells; `None`: by profile.
    fn reply_for(&self, customer: &str, response: &str, lasts: Option<i64>) -> Value {
        let mut reply = json!({"response": response, "response_source": "user_action"});
        if response == "accept" {
            reply["is_permanent"] = json!(false);
            if let Some(lasts) = lasts {
                reply["expiration_timestamp"] = json!((self.now + lasts).to_string());
            }
        }
        json!({"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": DISPLAY, "phone_number_id": self.number},
            "messages": [{
                "from": customer, "id": format!("wamid.{customer}"), "type": "interactive",
                "timestamp": self.now.to_string(),
                "context": {"from": DISPLAY, "id": format!("wamid.request.{customer}")},
                "interactive": {"type": "call_permission_reply", "call_permission_reply": reply},
            }],
        }})
    }

    fn terminate(&self, customer: &str, call_id: &str, is_answered: bool) -> Value {
        let mut call = json!({
            "id": format!("wacid.{customer}.{call_id}"), "from": DISPLAY, "to": customer,
            "event": "terminate", "direction": "BUSINESS_INITIATED", "status": "COMPLETED",
            "timestamp": self.now.to_string(), "biz_opaque_callback_data": call_id,
        });
        if is_answered {
            call["start_time"] = json!(self.now.to_string());
            call["end_time"] = json!((self.now + 42).to_string());
            call["duration"] = json!(42);
        }
        json!({"field": "calls", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": DISPLAY, "phone_number_id": self.number},
            "calls": [call],
        }})
    }
}

fn verdict(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "ALLOW",
        Decision::Deny | Decision::Unspecified => "DENY ",
    }
}

fn chapter(title: &str) {
    println!("\n{title}");
}

fn utc(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).map_or_else(String::new, |at| at.to_rfc3339())
}

#[expect(clippy::disallowed_methods, reason = "the story happens now")]
fn chrono_now() -> i64 {
    Utc::now().timestamp()
}
