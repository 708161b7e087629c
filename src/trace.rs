//! Spans of calls, for OpenTelemetry. Below everything else: a front door opens a span ([`Call`]), whoever
//! has something to say of the call says it ([`note`]), a store opens a child for each of its round trips
//! ([`trip`]). Until somebody calls [`begin`], all of it is a look at a flag.
//!
//! A span holds what is named in the code and nothing else: no log line, no field of a request. So no
//! customer and nothing a customer wrote gets into it. (A bridge from log lines to spans would copy both.)

use std::{borrow::Cow, sync::OnceLock};

use opentelemetry::{
    Context, KeyValue, Value,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracer};

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// From now on spans are made by this tracer. A second one is not heard.
pub fn begin(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

/// Whether spans are made.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// The span of a call that somebody makes of us. Ends when it is dropped.
#[derive(Debug)]
pub struct Call(Context);

/// What a request says of its trace.
struct Told<'a> {
    parent: Option<&'a str>,
    state: Option<&'a str>,
}

impl Extractor for Told<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.parent,
            "tracestate" => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

impl Call {
    /// Opens one. Its parent is who the headers `traceparent` and `tracestate` name, as W3C Trace Context
    /// has it: only those of somebody who is known are to be shown here, since whoever names a parent
    /// decides whether there is a span. `None`: no spans are made.
    pub fn open<'a>(
        name: impl Into<Cow<'static, str>>,
        header: impl Fn(&str) -> Option<&'a str>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<Self> {
        let tracer = TRACER.get()?;
        let told = Told { parent: header("traceparent"), state: header("tracestate") };
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &told);
        let builder =
            tracer.span_builder(name).with_kind(SpanKind::Server).with_attributes(attributes());
        let span = tracer.build_with_context(builder, &parent);
        Some(Self(parent.with_span(span)))
    }

    /// Names the trace and the span of a call that is sampled in its log lines: `line` has the empty
    /// fields `trace_id` and `span_id`.
    pub fn name_in(&self, line: &tracing::Span) {
        let span = self.0.span();
        let context = span.span_context();
        if context.is_sampled() {
            line.record("trace_id", tracing::field::display(context.trace_id()));
            line.record("span_id", tracing::field::display(context.span_id()));
        }
    }

    /// Does `work` within the span.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
        work.with_context(self.0.clone()).await
    }

    /// Does `work` within the span, at once.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _attached = self.0.clone().attach();
        work()
    }

    /// Says more of it.
    pub fn note(&self, key: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(key, value));
    }

    /// It went wrong, and not by what was asked.
    pub fn failed(&self, why: &'static str) {
        failed(&self.0, why);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

fn failed(context: &Context, why: &'static str) {
    let span = context.span();
    span.set_attribute(KeyValue::new("error.type", why));
    span.set_status(Status::error(""));
}

/// Says more of the call that is under way here, if it has a span.
pub fn note(key: &'static str, value: impl Into<Value>) {
    if is_on() {
        Context::map_current(|here| here.span().set_attribute(KeyValue::new(key, value)));
    }
}

/// The span of a round trip to the store. Ends when it is dropped.
#[derive(Debug)]
pub struct Trip(Context);

/// Opens one beneath the call that is under way here. `None`: there is none, or it is not sampled.
/// `operation` is one of few names.
pub fn trip(system: &'static str, operation: &'static str) -> Option<Trip> {
    let tracer = TRACER.get()?;
    let here = Context::current();
    if !here.span().is_recording() {
        return None;
    }
    let attributes = vec![
        KeyValue::new("db.system.name", system),
        KeyValue::new("db.operation.name", operation),
    ];
    let builder =
        tracer.span_builder(operation).with_kind(SpanKind::Client).with_attributes(attributes);
    let span = tracer.build_with_context(builder, &here);
    Some(Trip(here.with_span(span)))
}

impl Trip {
    /// There was no answer, or one that cannot be used.
    pub fn failed(&self, why: &'static str) {
        failed(&self.0, why);
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        self.0.span().end();
    }
}
