//! Facts in batches. A bad event is told so and the others are recorded; a fault of the store fails
//! the whole call, since repeating it is harmless and half an answer is not.

use crate::{
    engine::{
        Error, Result,
        fact::Event,
        gate::{Answer, Gate},
    },
    proto as pb,
    service::{convert, field, status},
};

pub(crate) async fn record(
    gate: &Gate,
    request: pb::RecordEventsRequest,
) -> Result<pb::RecordEventsResponse> {
    let asked = field::batch(request.events, "events")?;
    let mut items = Vec::with_capacity(asked.len());
    let mut good = Vec::with_capacity(asked.len());
    for (index, event) in asked.into_iter().enumerate() {
        let event_id = event.event_id.clone();
        let item = match convert::event(event, &path(index)) {
            Ok(event) => {
                let times = TimesAt::of(&event, index);
                good.push(event);
                Item { event_id, checked: Ok(times) }
            }
            Err(error) => Item { event_id, checked: Err(error) },
        };
        items.push(item);
    }
    let mut answers = gate.record_all(good).await?.into_iter();
    let results = items.into_iter().map(|Item { event_id, checked }| {
        let answer = match checked {
            Ok(times) => {
                let answer = answers.next().expect("the gate answers every event");
                answer.map_err(|error| times.name(error))
            }
            Err(error) => Err(error),
        };
        result(event_id, answer)
    });
    Ok(pb::RecordEventsResponse { results: results.collect::<Result<_>>()? })
}

/// What is left of an event after it went to the gate.
struct Item {
    event_id: String,
    checked: Result<TimesAt>,
}

/// Where in the request the times stand that the rulebook judges.
struct TimesAt {
    event: String,
    fact: &'static str,
}

impl TimesAt {
    fn of(event: &Event, index: usize) -> Self {
        Self { event: path(index), fact: convert::fact_field(&event.fact) }
    }

    fn name(&self, error: Error) -> Error {
        let fact = format!("{}.{}", self.event, self.fact);
        field::under(|name| if name == "occurred_at" { &self.event } else { &fact }, error)
    }
}

fn path(index: usize) -> String {
    format!("events[{index}]")
}

fn result(event_id: String, answer: Result<Answer>) -> Result<pb::EventResult> {
    match answer {
        Ok(answer) => Ok(pb::EventResult {
            event_id,
            status: i32::from(answer.reply.result),
            error: String::new(),
            permission: Some(convert::permission(&answer)),
        }),
        // A full record concerns this one event, and the next attempt would meet it again.
        Err(error @ (Error::Invalid { .. } | Error::Exhausted(_))) => Ok(pb::EventResult {
            event_id,
            status: i32::from(pb::EventStatus::Invalid),
            error: status::text(&error),
            permission: None,
        }),
        Err(fault) => Err(fault),
    }
}
