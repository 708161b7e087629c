//! A story file: stories one after the other, each a title, a profile and a table of rows.

use callgate::engine::{profile::Profile, time::Millis};

use super::{
    command::{self, Act},
    expect::{self, Expect},
    moment, profile,
};

/// A rule, told as what happens to one pair.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    /// The file it stands in.
    pub file: String,
    /// The line of its title.
    pub line: usize,
    /// The rule in plain words.
    pub title: String,
    /// What judges.
    pub profile: Profile,
    /// Only where the host's own clock can be moved: it forgets a customer.
    pub needs_clock: bool,
    /// What happens, in order of recording.
    pub rows: Vec<Row>,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Where it stands.
    pub line: usize,
    /// When it is told.
    pub now: Millis,
    /// The line as it was written, of a repetition the one that is meant.
    pub text: String,
    /// What is done.
    pub act: Act,
    /// What must come of it.
    pub expects: Vec<Expect>,
}

/// Reads a file; all problems, each with file and line.
pub(crate) fn parse(file: &str, text: &str, start: Millis) -> Result<Vec<Story>, Vec<String>> {
    let mut reader = Reader { file, start, stories: Vec::new(), now: start, problems: Vec::new() };
    let mut table: Option<Line> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = line.trim_end();
        if let (Some(more), Some(pending)) = (continuation(line), &mut table) {
            pending.expectation.push_str(more);
            continue;
        }
        if let Some(pending) = table.take() {
            reader.row(&pending);
        }
        if line.contains('|') && !line.starts_with(['#', '>']) {
            table = Some(Line::of(number, line));
        } else {
            reader.header(number, line);
        }
    }
    if let Some(pending) = table.take() {
        reader.row(&pending);
    }
    reader.finish()
}

/// `    |      | more` goes on with the expectation of the row above.
fn continuation(line: &str) -> Option<&str> {
    let mut columns = line.splitn(3, '|');
    let is_more = columns.next()?.trim().is_empty() && columns.next()?.trim().is_empty();
    columns.next().filter(|_| is_more)
}

struct Line {
    number: usize,
    time: String,
    command: String,
    expectation: String,
}

impl Line {
    fn of(number: usize, text: &str) -> Self {
        let mut columns = text.splitn(3, '|').map(|column| column.trim().to_owned());
        let mut next = || columns.next().unwrap_or_default();
        Self { number, time: next(), command: next(), expectation: next() }
    }
}

struct Reader<'a> {
    file: &'a str,
    start: Millis,
    stories: Vec<Story>,
    now: Millis,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn header(&mut self, number: usize, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match (word, self.stories.last_mut()) {
            ("", _) | (">" | "--", _) => {}
            ("#", _) => {
                self.now = self.start;
                self.stories.push(Story {
                    file: self.file.to_owned(),
                    line: number,
                    title: rest.to_owned(),
                    profile: Profile::atom(),
                    needs_clock: false,
                    rows: Vec::new(),
                });
            }
            ("profile", Some(story)) => match profile::parse(rest) {
                Ok(profile) => story.profile = profile,
                Err(problem) => self.problem(number, &problem),
            },
            ("needs", Some(story)) if rest == "clock" => story.needs_clock = true,
            _ => self.problem(number, "neither title, profile, remark nor row"),
        }
    }

    fn row(&mut self, line: &Line) {
        match self.rows(line) {
            Ok(rows) => match self.stories.last_mut() {
                Some(story) => story.rows.extend(rows),
                None => self.problem(line.number, "a row before any title"),
            },
            Err(problem) => self.problem(line.number, &problem),
        }
    }

    /// One row, or as many as its range of ids says: `+0 every 1m | call c1..c5 answered`.
    fn rows(&mut self, line: &Line) -> Result<Vec<Row>, String> {
        let (time, every) = line.time.split_once(" every ").unwrap_or((&line.time, "0s"));
        let step = moment::span(every.trim())?;
        if !time.is_empty() {
            self.now = moment::instant(time.trim(), self.start)?;
        }
        let mut rows = Vec::new();
        for command in repetitions(&line.command)? {
            if !rows.is_empty() {
                self.now = Millis(self.now.0 + step);
            }
            rows.push(Row {
                line: line.number,
                now: self.now,
                text: format!("{} | {command}", moment::show(self.now, self.start)),
                act: command::parse(&command, self.start)?,
                expects: expect::parse(&line.expectation, self.start)?,
            });
        }
        Ok(rows)
    }

    fn problem(&mut self, line: usize, problem: &str) {
        self.problems.push(format!("tests/stories/{}:{line}: {problem}", self.file));
    }

    fn finish(mut self) -> Result<Vec<Story>, Vec<String>> {
        let empty = self.stories.iter().filter(|story| story.rows.is_empty());
        let empty: Vec<usize> = empty.map(|story| story.line).collect();
        for line in empty {
            self.problem(line, "a story without rows");
        }
        if self.problems.is_empty() { Ok(self.stories) } else { Err(self.problems) }
    }
}

/// `call c1..c3 answered` is three commands.
fn repetitions(command: &str) -> Result<Vec<String>, String> {
    let Some(range) = command.split_whitespace().find(|word| word.contains("..")) else {
        return Ok(vec![command.to_owned()]);
    };
    let wrong = || format!("{range:?}: write a range as c1..c5");
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let from: u32 = first[stem.len()..].parse().map_err(|_| wrong())?;
    let to: u32 = last.trim_start_matches(stem).parse().map_err(|_| wrong())?;
    Ok((from..=to).map(|i| command.replace(range, &format!("{stem}{i}"))).collect())
}

#[test]
fn a_file_of_stories_is_read() {
    let text = "\
# One
> a remark with a | in it
profile meta; lease 3s

+0          | accept          | RECORDED;
            |                 | status GRANTED
+1m every 1s| call c1..c3 answered @-1ms | RECORDED
            | check           | ALLOW
# Two
needs clock
+0 | forget | NOTHING
";
    let start = Millis(1_000_000_000);
    let stories = parse("x.story", text, start).unwrap();
    let [one, two] = &stories[..] else { panic!("two stories") };
    assert_eq!((one.title.as_str(), one.profile.lease, one.needs_clock), ("One", 3000, false));
    let lines: Vec<_> = one.rows.iter().map(|row| (row.line, row.now.0 - start.0)).collect();
    assert_eq!(lines, [(5, 0), (7, 60_000), (7, 61_000), (7, 62_000), (8, 62_000)]);
    assert_eq!(one.rows[0].expects.len(), 2);
    assert_eq!(one.rows[2].text, "+1m1s | call c2 answered @-1ms");
    assert!(two.needs_clock);
}

#[test]
fn problems_name_file_and_line() {
    let text = "# One\nprofile atom\n+0 | accpet | RECORDED\n+1 | check | ALLOW\nhm\n";
    let problems = parse("x.story", text, Millis(1_000_000_000)).unwrap_err();
    assert_eq!(
        problems,
        [
            "tests/stories/x.story:3: \"accpet\" is no command",
            "tests/stories/x.story:4: \"+1\" is no time: write +0, +24h-1ms, +1m30s",
            "tests/stories/x.story:5: neither title, profile, remark nor row",
            "tests/stories/x.story:1: a story without rows",
        ]
    );
}
