//! Joins what a file says to a store.
//!
//! The file is read as a whole before anything of it is joined, so that one that is cut off, altered or of
//! another format changes nothing. Whom it says to be forgotten is told first, and what the store knows of
//! them from before is erased; then it does not matter that somebody was forgotten while it was written,
//! nor in which order files are imported. Settings come next, wherever they stand; then customers.

use std::{
    collections::HashMap,
    io::{BufRead, Read as _},
    pin::pin,
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use crate::{
    archive::{
        FORMAT, VERSION,
        line::{Counts, End, ForgottenLine, Header, Line, NumberLine, QuarantinedLine},
        rename::Rename,
    },
    engine::{
        Error, Result,
        archive::{Archive, Join, hash_of},
        gate::Profiles,
        pair::{Customer, PhoneNumberId},
        pseudonym::Keys,
        step::NumberStep,
        store::{Quarantined, TOMBSTONE_AGE_MAX, partition_of},
        time::Millis,
    },
};

/// No line is longer.
const LINE_MAX: u64 = 64 << 20;
/// Lines that are joined at once.
const AT_ONCE: usize = 64;
/// A file that is older tells of customers who were forgotten since, and nobody knows it any more.
pub const AGE_MAX: Duration = Duration::from_millis(TOMBSTONE_AGE_MAX);

/// A file that is whole.
#[derive(Debug)]
pub struct Checked {
    /// Its first line.
    pub header: Header,
    /// What it has.
    pub counts: Counts,
    /// Of business and display numbers.
    settings: Vec<(u64, Line)>,
    forgotten: Vec<(u64, ForgottenLine)>,
    /// Where the store is under more keys than the file.
    rename: Option<Rename>,
}

/// What became of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Joined {
    /// Told something new.
    pub changed: u64,
    /// Told nothing new.
    pub same: u64,
    /// Left out: the customer was forgotten since.
    pub forgotten: u64,
}

impl Joined {
    /// Counts a line; `None` is one that is not counted.
    fn add(&mut self, outcome: Option<Outcome>) {
        match outcome {
            None => {}
            Some(Outcome::Changed) => self.changed += 1,
            Some(Outcome::Same) => self.same += 1,
            Some(Outcome::Forgotten) => self.forgotten += 1,
        }
    }
}

fn at_line(n: u64, error: &Error) -> Error {
    let problem = match error {
        Error::Invalid { field, problem } => format!("line {n}: {field}: {problem}"),
        Error::Unavailable(why) | Error::DeadlineExceeded(why) => {
            return Error::Unavailable(format!(
                "{why} (at line {n}; import the file once more: what is there already changes nothing)"
            ));
        }
        other => format!("line {n}: {other}"),
    };
    Error::invalid("file", problem)
}

/// Lines of a file, read strictly.
struct Lines<R> {
    from: R,
    n: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next one, with its number and bytes.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>, Line)>> {
        let mut bytes = Vec::new();
        let wrong = |n, problem: String| Error::invalid("file", format!("line {n}: {problem}"));
        self.n += 1;
        let read = self.from.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes);
        read.map_err(|error| wrong(self.n, format!("cannot be read: {error}")))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() != Some(&b'\n') {
            return Err(wrong(self.n, "is cut off".to_owned()));
        }
        // serde_json's own errors name a line of the text, which is always the first.
        let line = serde_json::from_slice(&bytes).map_err(|error| {
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            let column = error.column();
            wrong(self.n, format!("{text} (column {column})"))
        })?;
        Ok(Some((self.n, bytes, line)))
    }
}

/// Reads all of a file.
///
/// # Errors
/// `Invalid` with what is wrong and in which line.
pub fn check(from: impl BufRead) -> Result<Checked> {
    let mut lines = Lines { from, n: 0 };
    let wrong = |problem: &str| Error::invalid("file", problem.to_owned());
    let (header, mut sum) = match lines.next()? {
        Some((_, bytes, Line::Header(header))) => (header, Sha256::new().chain_update(bytes)),
        _ => return Err(wrong("line 1: is no header: this is no export of callgate")),
    };
    refuse_other_format(&header)?;
    let (mut counts, mut settings, mut forgotten) = (Counts::default(), Vec::new(), Vec::new());
    while let Some((n, bytes, line)) = lines.next()? {
        check_line(&line).map_err(|error| at_line(n, &error))?;
        check_ids(&line, !header.pseudonyms.is_none()).map_err(|error| at_line(n, &error))?;
        counts.add(&line);
        match line {
            Line::End(End { counts: told, sha256 }) => {
                if lines.next()?.is_some() {
                    return Err(wrong("it goes on behind its end"));
                }
                if told != counts || sha256 != hex::encode(sum.finalize()) {
                    return Err(wrong(
                        "it was altered since it was exported: counts and checksum in its last line do \
                         not fit. Nothing was imported; take another copy",
                    ));
                }
                return Ok(Checked { header, counts, settings, forgotten, rename: None });
            }
            Line::Forgotten(line) if header.partitions <= line.partition => {
                return Err(wrong(&format!("line {n}: there is no such partition")));
            }
            Line::Forgotten(line) => forgotten.push((n, line)),
            line @ (Line::Number(_) | Line::Display(_)) => settings.push((n, line)),
            Line::Header(_) | Line::Customer(_) | Line::Quarantined(_) => {}
        }
        sum.update(bytes);
    }
    Err(wrong("it is cut off: its last line is missing. Nothing was imported; take another copy"))
}

fn refuse_other_format(header: &Header) -> Result<()> {
    if header.format != FORMAT {
        return Err(Error::invalid("file", format!("line 1: {:?} is no format", header.format)));
    }
    if header.version != VERSION {
        return Err(Error::invalid(
            "file",
            format!(
                "line 1: it is of version {}, this callgate reads {VERSION}: import it with the \
                 callgate that wrote it ({}), or a newer one",
                header.version, header.callgate
            ),
        ));
    }
    Ok(())
}

fn check_line(line: &Line) -> Result<()> {
    match line {
        Line::Header(_) => Err(Error::invalid("header", "a second one")),
        Line::Number(line) => {
            PhoneNumberId::parse(&line.phone_number_id, "phone_number_id").map(drop)
        }
        Line::Display(line) => {
            let is_display = !line.display.is_empty() && line.display.len() <= 32;
            if !is_display || !line.display.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Error::invalid("display", "must be digits"));
            }
            match &line.owner {
                Some(owner) => PhoneNumberId::parse(&owner.phone_number_id, "owner").map(drop),
                None => Ok(()),
            }
        }
        Line::Customer(line) => line.kept().map(drop),
        Line::Quarantined(line) if line.phone_number_id.is_empty() => Ok(()),
        Line::Quarantined(line) => {
            PhoneNumberId::parse(&line.phone_number_id, "phone_number_id").map(drop)
        }
        Line::Forgotten(line) => line.forgotten().map(drop),
        Line::End(_) => Ok(()),
    }
}

/// Whether all ids are of the one kind that the header says.
fn check_ids(line: &Line, are_pseudonyms: bool) -> Result<()> {
    let Line::Customer(line) = line else { return Ok(()) };
    for record in &line.records {
        let links = record.links.iter().map(|link| &link.id);
        for id in links.chain([&record.id]) {
            if Customer::kept(id)?.is_pseudonym() != are_pseudonyms {
                return Err(Error::invalid(
                    "id",
                    "the header says that ids are of another kind: pseudonyms, or not",
                ));
            }
        }
    }
    Ok(())
}

impl Checked {
    /// For a store under these keys: those of the file and further ones, which are applied to every id.
    ///
    /// # Errors
    /// `Invalid` if the file is under others.
    pub fn under(self, keys: Option<&Keys>) -> Result<Self> {
        let rename = match keys {
            Some(keys) => Rename::new(keys, &self.header.pseudonyms),
            None => self.header.pseudonyms.is_none().then_some(None),
        };
        let mine = keys.map(Keys::fingerprints).unwrap_or_default();
        let rename = rename.ok_or_else(|| {
            let problem = match (mine.is_none(), &self.header.pseudonyms) {
                (true, theirs) => format!(
                    "the file has pseudonyms, made by keys with the fingerprints {theirs}: set \
                     privacy.key_file to the file that has these, in this order"
                ),
                (false, theirs) => format!(
                    "the file's pseudonyms are made by keys with the fingerprints {theirs}, and \
                     privacy.key_file does not begin with these ({mine}): only further keys can be \
                     applied to them"
                ),
            };
            Error::invalid("file", problem)
        })?;
        Ok(Self { rename, ..self })
    }

    /// Whether the store takes ids as this import would give them.
    fn refuse_other_keys(&self, store: &dyn Archive) -> Result<()> {
        let given = self.rename.as_ref().map_or(&self.header.pseudonyms, Rename::fingerprints);
        if given == store.pseudonyms() {
            return Ok(());
        }
        Err(Error::invalid("store", "it is under other keys of pseudonyms than the file"))
    }

    /// How many were forgotten so lately that what was told of them before may be delivered once more.
    fn forgotten_lately(&self, now: Millis) -> usize {
        let is_lately =
            |line: &ForgottenLine| now.0 < line.at.0.0.saturating_add(TOMBSTONE_AGE_MAX);
        self.forgotten.iter().filter(|(_, line)| is_lately(line)).count()
    }

    /// Whether the store finds those who were forgotten by the hashes of the file.
    fn finds_forgotten(&self, store: &dyn Archive) -> Result<bool> {
        Ok(self.rename.is_none()
            && store.secret()? == self.forgotten_key()?
            && store.partitions() == self.header.partitions)
    }

    /// The key by which a new store names the forgotten as the file does.
    ///
    /// # Errors
    /// `Invalid` if it is none.
    pub fn forgotten_key(&self) -> Result<Vec<u8>> {
        let key = hex::decode(&self.header.forgotten_key).ok().filter(|key| key.len() >= 32);
        key.ok_or_else(|| Error::invalid("file", "line 1: forgotten_key is no key in hex"))
    }

    /// Whether the file may be joined to this store.
    ///
    /// # Errors
    /// `Invalid` with the mend.
    pub async fn refuse(&self, store: &dyn Archive, may: May) -> Result<()> {
        self.refuse_other_keys(store)?;
        let now = store.now().await?;
        let exported_at = self.header.exported_at.0;
        let too_old = exported_at.plus(AGE_MAX) < now;
        if too_old && !may.be_old {
            return Err(Error::invalid(
                "file",
                format!(
                    "it was exported at {}, more than 8 d ago: it would bring back customers who were \
                     forgotten since then. If you know them, import it with --old and forget them once \
                     more",
                    exported_at.utc().format("%FT%TZ")
                ),
            ));
        }
        let lately = self.forgotten_lately(now);
        if lately > 0 && self.rename.is_some() && !may.lose_forgotten {
            return Err(Error::invalid(
                "store",
                format!(
                    "{lately} customers' ids were forgotten within 8 d before the export, and under the \
                     further keys nobody can tell whose these were: what a provider delivers once more \
                     would bring them back. Wait until 8 d after the last of them, or import with \
                     --drop-forgotten and forget those customers once more at once"
                ),
            ));
        }
        let forgotten = self.forgotten.len();
        if forgotten > 0 && !self.finds_forgotten(store)? && !may.lose_forgotten {
            return Err(Error::invalid(
                "store",
                format!(
                    "{forgotten} customers' ids were forgotten within 8 d before the export, which the \
                     file tells by a key that is not this store's: what this store knows of them would \
                     stay, and what a provider delivers once more would bring them back. Import into a \
                     new store before any gate has used it (it takes the key over); or import with \
                     --drop-forgotten and forget those customers once more"
                ),
            ));
        }
        Ok(())
    }

    /// Joins all of it. `from` is the same file once more; `seen` is told of lines from time to time.
    ///
    /// # Errors
    /// With the number of the line; what stands before it is joined, and may be once more; so are settings.
    pub async fn join(
        &self,
        from: impl BufRead + Send,
        store: &dyn Archive,
        profiles: &Profiles,
        seen: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Joined> {
        self.refuse_other_keys(store)?;
        let finds = self.finds_forgotten(store)?;
        if finds {
            self.erase_known(store, profiles).await?;
        }
        for (n, line) in self.forgotten.iter().filter(|_| finds) {
            let forgotten = line.forgotten()?;
            store.join_forgotten(&forgotten).await.map_err(|error| at_line(*n, &error))?;
        }
        let joining = &Joining { store, profiles };
        let mut all = Joined::default();
        // Settings first, wherever they stand: what is told of a customer depends on them.
        for (n, line) in &self.settings {
            all.add(joining.settings(line).await.map_err(|error| at_line(*n, &error))?);
        }
        let mut lines = Lines { from, n: 0 };
        let lines = std::iter::from_fn(move || lines.next().transpose());
        let mut joins = pin!(
            stream::iter(lines)
                .map(async |line| {
                    let (n, bytes, line) = line?;
                    let renamed = match &self.rename {
                        Some(rename) => rename.line(line),
                        None => Ok(line),
                    };
                    let line = renamed.map_err(|error| at_line(n, &error))?;
                    let joined = joining.line(line).await.map_err(|error| at_line(n, &error))?;
                    Ok::<_, Error>((bytes.len() as u64, joined))
                })
                .buffered(AT_ONCE)
        );
        while let Some((bytes, joined)) = joins.try_next().await? {
            seen(bytes);
            all.add(joined);
        }
        Ok(all)
    }

    /// Erases whom the file says to be forgotten and the store still knows from before. Before their
    /// tombstones are joined: where it breaks off, those who are left are found once more.
    async fn erase_known(&self, store: &dyn Archive, profiles: &Profiles) -> Result<()> {
        let mut erased: HashMap<(u16, Vec<u8>), Millis> = HashMap::new();
        for (n, line) in &self.forgotten {
            let forgotten = line.forgotten().map_err(|error| at_line(*n, &error))?;
            let at = erased.entry((forgotten.partition, forgotten.hash)).or_default();
            *at = forgotten.at.max(*at);
        }
        let mut partitions: Vec<u16> = erased.keys().map(|(partition, _)| *partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let secret = store.secret()?;
        let when = |number: &PhoneNumberId, customer: &Customer| {
            let partition = partition_of(number, store.partitions());
            let keys = customer.keys();
            let hashes = keys.iter().map(|id| (partition, hash_of(&secret, number, id)));
            hashes.filter_map(|hash| erased.get(&hash)).max().copied()
        };
        for partition in partitions {
            for number in store.numbers(partition).await? {
                let mut next = Some(String::new());
                while let Some(from) = next {
                    let page = store.customers(&number, &from).await?;
                    for customer in &page.customers {
                        let Some(at) = when(&number, customer) else { continue };
                        // Forgotten here as well: then nothing is left from before.
                        if store.erased_at(&number, &customer.keys()).await? < at {
                            store.forget_as_of(&number, customer, profiles.of(&number), at).await?;
                        }
                    }
                    next = page.next;
                }
            }
        }
        Ok(())
    }
}

/// What somebody who knows what it means has allowed.
#[derive(Debug, Clone, Copy, Default)]
pub struct May {
    /// The file may be older than [`AGE_MAX`].
    pub be_old: bool,
    /// Whom it says to be forgotten need not be remembered.
    pub lose_forgotten: bool,
}

enum Outcome {
    Changed,
    Same,
    Forgotten,
}

struct Joining<'a> {
    store: &'a dyn Archive,
    profiles: &'a Profiles,
}

impl Joining<'_> {
    async fn line(&self, line: Line) -> Result<Option<Outcome>> {
        match line {
            Line::Header(_)
            | Line::Number(_)
            | Line::Display(_)
            | Line::Forgotten(_)
            | Line::End(_) => Ok(None),
            Line::Customer(line) => {
                let kept = line.kept()?;
                let profile = self.profiles.of(&kept.number);
                let join = Join { kept: &kept, profile, now: Millis::ZERO };
                let reply = self.store.join(join).await?;
                match (reply.refused.as_str(), reply.result) {
                    ("", 1) => Ok(Some(Outcome::Changed)),
                    ("", _) => Ok(Some(Outcome::Same)),
                    ("full", _) => Err(Error::Exhausted(reply.problem)),
                    _ => Err(Error::invalid(reply.field, reply.problem)),
                }
            }
            Line::Quarantined(line) => self.quarantined(line).await.map(Some),
        }
    }

    async fn settings(&self, line: &Line) -> Result<Option<Outcome>> {
        match line {
            Line::Number(line) => self.number(line).await.map(Some),
            Line::Display(line) => {
                for report in line.settings.reports() {
                    self.store.report_by_display(&line.display, report).await?;
                }
                if let Some(owner) = &line.owner {
                    let number = PhoneNumberId::parse(&owner.phone_number_id, "owner")?;
                    self.store.learn_display(&line.display, &number, owner.at.0).await?;
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    async fn number(&self, line: &NumberLine) -> Result<Outcome> {
        let number = PhoneNumberId::parse(&line.phone_number_id, "phone_number_id")?;
        let step = |report| NumberStep { number: &number, report, now: Millis::ZERO };
        let known = self.store.number(step(None)).await?.number;
        let mut reports = line.settings.reports();
        // It has no time of its own: what is known here stays.
        if known.display.is_empty()
            && let Some(first) = reports.first_mut()
        {
            first.display.clone_from(&line.display);
        }
        let mut outcome = Outcome::Same;
        for report in reports {
            let reply = self.store.number(step(Some(report))).await?;
            if !reply.field.is_empty() {
                return Err(Error::invalid(reply.field, reply.problem));
            }
            if reply.changed == 1 {
                outcome = Outcome::Changed;
            }
        }
        Ok(outcome)
    }

    /// It may name somebody who was forgotten since.
    async fn quarantined(&self, line: QuarantinedLine) -> Result<Outcome> {
        let entry = Quarantined::from(line);
        // Not even for a moment: it would push out the oldest where there is no more room.
        if self.is_forgotten(&entry).await? {
            return Ok(Outcome::Forgotten);
        }
        if self.store.quarantined_by_id(&entry.id).await?.is_some() {
            return Ok(Outcome::Same);
        }
        self.store.quarantine(entry.clone()).await?;
        // Whoever was forgotten meanwhile.
        if self.is_forgotten(&entry).await? {
            self.store.release_quarantined(&entry.id).await?;
            return Ok(Outcome::Forgotten);
        }
        Ok(Outcome::Changed)
    }

    async fn is_forgotten(&self, entry: &Quarantined) -> Result<bool> {
        let ids = entry.ids();
        let numbers = match PhoneNumberId::parse(&entry.phone_number_id, "") {
            Ok(number) => vec![number],
            Err(_) => self.numbers().await?,
        };
        for number in numbers {
            if entry.received_at <= self.store.erased_at(&number, &ids).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn numbers(&self) -> Result<Vec<PhoneNumberId>> {
        let partitions = stream::iter(0..self.store.partitions());
        let numbers = partitions.then(|partition| self.store.numbers(partition));
        Ok(numbers.try_collect::<Vec<_>>().await?.concat())
    }
}
