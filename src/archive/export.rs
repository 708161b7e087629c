//! Writes what a store keeps.

use std::io::Write;

use sha2::{Digest as _, Sha256};

use crate::{
    archive::{
        FORMAT, VERSION,
        line::{Counts, CustomerLine, DisplayLine, End, Header, Line, NumberLine, Settings, Stamp},
    },
    engine::{
        Error, Result,
        archive::{Archive, Item},
        pair::PhoneNumberId,
        step::NumberStep,
        time::Millis,
    },
};

/// Writes all of it; `seen` is told how much is written from time to time.
///
/// # Errors
/// As of the store; `Unavailable` if it cannot be written.
pub async fn export(
    store: &dyn Archive,
    to: &mut (dyn Write + Send),
    seen: &mut (dyn FnMut(&Counts) + Send),
) -> Result<Counts> {
    let mut file = File { to, sum: Sha256::new(), counts: Counts::default(), seen };
    file.write(&Line::Header(Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        callgate: env!("CARGO_PKG_VERSION").to_owned(),
        store: store.kind().to_owned(),
        exported_at: Stamp(store.now().await?),
        partitions: store.partitions(),
        forgotten_key: hex::encode(store.secret()?),
        pseudonyms: store.pseudonyms().clone(),
    }))?;
    for partition in 0..store.partitions() {
        for number in store.numbers(partition).await? {
            let line = number_line(store, &number).await?;
            file.write(&Line::Number(line))?;
        }
    }
    store.take_out_quarantined(&mut |entry| file.write(&Line::Quarantined(entry.into()))).await?;
    // The forgotten come last.
    let mut sink = |item: Item| {
        file.write(&match item {
            Item::Kept(kept) => Line::Customer(CustomerLine::of(&kept)?),
            Item::Display(display) => Line::Display(DisplayLine::from(display)),
            Item::Forgotten(forgotten) => Line::Forgotten(forgotten.into()),
        })
    };
    store.take_out(&mut sink).await?;
    file.end()
}

async fn number_line(store: &dyn Archive, number: &PhoneNumberId) -> Result<NumberLine> {
    let known = store.number(NumberStep { number, report: None, now: Millis::ZERO }).await?;
    Ok(NumberLine {
        phone_number_id: number.as_str().to_owned(),
        settings: Settings::from(&known.number),
        display: known.number.display,
    })
}

struct File<'a> {
    to: &'a mut (dyn Write + Send),
    sum: Sha256,
    counts: Counts,
    seen: &'a mut (dyn FnMut(&Counts) + Send),
}

impl File<'_> {
    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| Error::Internal(format!("a line cannot be written: {error}")))?;
        text.push('\n');
        self.sum.update(&text);
        self.counts.add(line);
        (self.seen)(&self.counts);
        self.to
            .write_all(text.as_bytes())
            .map_err(|error| Error::Unavailable(format!("cannot write: {error}")))
    }

    fn end(mut self) -> Result<Counts> {
        let sha256 = hex::encode(self.sum.clone().finalize());
        self.write(&Line::End(End { counts: self.counts.clone(), sha256 }))?;
        self.to.flush().map_err(|error| Error::Unavailable(format!("cannot write: {error}")))?;
        Ok(self.counts)
    }
}
