//! Log lines of libraries, as ours look.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext,
        format::{FormatEvent, FormatFields, Writer},
    },
    registry::LookupSpan,
};

/// Writes JSON, and leaves out where in their source lines of libraries stand: a path of the machine on
/// which the gate was built. Lines of text are without it as they are.
pub(super) struct WithoutPlaces<F>(pub(super) F);

/// A line of a library, which has no fields of its own.
#[derive(Deserialize, Serialize)]
struct Line<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    level: &'a RawValue,
    #[serde(borrow)]
    message: &'a RawValue,
    #[serde(borrow)]
    target: &'a RawValue,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    span: Option<&'a RawValue>,
}

impl<S, N, F> FormatEvent<S, N> for WithoutPlaces<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Only what came by the `log` crate has this field.
        if event.metadata().fields().field("log.target").is_none() {
            return self.0.format_event(ctx, writer, event);
        }
        let mut whole = String::new();
        self.0.format_event(ctx, Writer::new(&mut whole), event)?;
        let line = serde_json::from_str::<Line<'_>>(&whole).map_err(|_| fmt::Error)?;
        writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}
