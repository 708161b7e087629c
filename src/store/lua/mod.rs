//! The rulebook in this process: LuaJIT, with the very text that Redis runs. Values cross as one text
//! (`cells`), and the rulebook asks for records by yielding (`host.lua`).

use mlua::{
    Function, HookTriggers, Lua, LuaOptions, LuaSerdeExt as _, LuaString, StdLib, Table, Thread,
    Value,
};
use serde::Serialize;

use crate::{
    engine::{
        Error, Result,
        archive::Join,
        change::Change,
        fact::NumberReport,
        pair::Pair,
        profile::Profile,
        step::{Command, NumberReply, Reply, Step},
        time::Millis,
    },
    rulebook,
    store::{
        cells::{Reader, Writer},
        codec::{self, record},
        reply::{self, Values as _},
    },
};

/// The rulebook's way to the records.
const HOST: &str = include_str!("host.lua");

/// What only the loading needs, and what reaches out of the interpreter.
const OUTSIDE: [&str; 9] = [
    "dofile",
    "loadfile",
    "loadstring",
    "load",
    "collectgarbage",
    "print",
    "require",
    "module",
    "package",
];

/// What a step reads and writes: the records of one business number, as bytes.
pub trait Records {
    /// The record under a wa_id or a user id.
    ///
    /// # Errors
    /// Ends the step; nothing of it is to be kept.
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>>;
    /// Puts a change on the log. Its `number` and `format` are not set yet.
    ///
    /// # Errors
    /// See [`Records::load`].
    fn tell(&mut self, change: Change) -> Result<()>;
    /// Keeps a record until `expire_at` (unset: for good). `due_at` says when time alone changes the
    /// state next (unset: never); `None`: as before.
    ///
    /// # Errors
    /// See [`Records::load`].
    fn save(
        &mut self,
        id: &str,
        bytes: Vec<u8>,
        expire_at: Millis,
        due_at: Option<Millis>,
    ) -> Result<()>;
    /// The business number's facts.
    ///
    /// # Errors
    /// See [`Records::load`].
    fn number(&mut self) -> Result<Option<Vec<u8>>>;
    /// When this id was forgotten, or unset.
    ///
    /// # Errors
    /// See [`Records::load`].
    fn erased(&mut self, id: &str) -> Result<Millis>;
}

/// For questions that need none.
struct NoRecords;

impl Records for NoRecords {
    fn load(&mut self, _: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn tell(&mut self, _: Change) -> Result<()> {
        Ok(())
    }

    fn save(&mut self, _: &str, _: Vec<u8>, _: Millis, _: Option<Millis>) -> Result<()> {
        Ok(())
    }

    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn erased(&mut self, _: &str) -> Result<Millis> {
        Ok(Millis::ZERO)
    }
}

/// One interpreter with the rulebook loaded. Not shared: one per thread that runs steps.
#[derive(Debug)]
pub struct Vm {
    lua: Lua,
    /// What `host` runs, see `host.lua`.
    serve: Function,
    /// Answers questions. One that failed answers no more, and is replaced.
    host: Thread,
    /// The profile last used, as a table: profiles seldom change from step to step.
    profile: Option<(Profile, Table)>,
    /// Instructions after which a call of the rulebook is given up; unset: none.
    patience: Option<u32>,
}

/// A command with the customer on whom it is.
#[derive(Serialize)]
struct Addressed<'a> {
    wa: &'a str,
    user: &'a str,
    #[serde(flatten)]
    command: &'a Command,
}

/// A command as MessagePack, as Redis takes it.
pub(crate) fn pack_command(pair: &Pair, command: &Command) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(&addressed(pair, command))
        .map_err(|error| Error::Internal(error.to_string()))
}

fn addressed<'a>(pair: &'a Pair, command: &'a Command) -> Addressed<'a> {
    Addressed {
        wa: pair.customer.wa().map_or("", |wa| wa.key()),
        user: pair.customer.user().map_or("", |user| user.as_str()),
        command,
    }
}

/// A failure inside Lua is a bug in the rulebook.
fn failed(error: &mlua::Error) -> Error {
    Error::Internal(format!("the rulebook failed: {error}"))
}

/// Whether the rulebook is to be resumed.
#[derive(PartialEq, Eq)]
enum Given {
    What,
    Done,
}

/// Gives what the rulebook asks for, see `host.lua`.
fn give(asked: &mut Reader<'_>, records: &mut dyn Records, given: &mut Writer) -> Result<Given> {
    asked.list()?;
    match asked.str()? {
        "load" => match records.load(asked.str()?)? {
            Some(bytes) => record::decode(&bytes, given)?,
            None => given.nil(),
        },
        "number" => match records.number()? {
            Some(bytes) => codec::decode_number(&bytes, given)?,
            None => given.nil(),
        },
        "erased" => given.instant(records.erased(asked.str()?)?),
        "tell" => {
            records.tell(reply::read_change(asked)?)?;
            given.nil();
        }
        "save" => {
            let (id, expire_at) = (asked.str()?, Millis(asked.number()?));
            let due_at = u64::try_from(asked.signed()?).ok().map(Millis);
            records.save(id, record::encode(asked)?, expire_at, due_at)?;
            given.nil();
        }
        "done" => return Ok(Given::Done),
        other => return Err(Error::Internal(format!("the rulebook asks for {other:?}"))),
    }
    Ok(Given::What)
}

impl Vm {
    /// Loads the rulebook.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not compile.
    pub fn new() -> Result<Self> {
        Self::load(rulebook::DEFINITIONS).map_err(|error| failed(&error))
    }

    /// Loads a rulebook of another text: one that a test broke on purpose. It may never end, so a call
    /// of it fails after `patience` instructions.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not compile.
    pub fn with_rulebook(definitions: &str, patience: u32) -> Result<Self> {
        let mut vm = Self::load(definitions).map_err(|error| failed(&error))?;
        vm.patience = Some(patience);
        Ok(vm)
    }

    fn load(definitions: &str) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::PACKAGE;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let buffer: Table = lua.load("return require('string.buffer')").eval()?;
        let new_table: Function = lua.load("return require('table.new')").eval()?;
        for name in OUTSIDE {
            lua.globals().raw_set(name, Value::Nil)?;
        }
        let text = [definitions, "local buffer, new_table = ...\n", HOST].concat();
        let serve: Function = lua.load(text).set_name("=rulebook").call((buffer, new_table))?;
        // Redis refuses globals; so does this host.
        lua.load(
            r#"setmetatable(_G, {
                __newindex = function(_, name) error("global " .. tostring(name) .. " set") end,
                __index = function(_, name) error("global " .. tostring(name) .. " read") end,
            })"#,
        )
        .exec()?;
        let host = lua.create_thread(serve.clone())?;
        Ok(Self { lua, serve, host, profile: None, patience: None })
    }

    /// Puts a question to the rulebook, gives it what it asks for meanwhile, and reads the answer.
    fn ask<T>(
        &mut self,
        question: &Writer,
        profile: Option<&Profile>,
        records: &mut dyn Records,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T>,
    ) -> Result<T> {
        let answer = self.converse(question, profile, records);
        if answer.is_err() {
            self.host =
                self.lua.create_thread(self.serve.clone()).map_err(|error| failed(&error))?;
        }
        let answer = answer?;
        let bytes = answer.as_bytes();
        let mut values = Reader(&bytes);
        let (_, _) = (values.list()?, values.str()?);
        read(&mut values)
    }

    /// Until the rulebook is done.
    fn converse(
        &mut self,
        question: &Writer,
        profile: Option<&Profile>,
        records: &mut dyn Records,
    ) -> Result<LuaString> {
        self.limit().map_err(|error| failed(&error))?;
        let profile = profile.map(|profile| self.profile_table(profile)).transpose();
        let profile = profile.map_err(|error| failed(&error))?;
        let mut asked = self.resume(question, profile)?;
        loop {
            let mut given = Writer::default();
            if give(&mut Reader(&asked.as_bytes()), records, &mut given)? == Given::Done {
                return Ok(asked);
            }
            asked = self.resume(&given, None)?;
        }
    }

    fn resume(&self, given: &Writer, profile: Option<Table>) -> Result<LuaString> {
        let text = self.lua.create_string(given.bytes()).map_err(|error| failed(&error))?;
        self.host.resume((text, profile)).map_err(|error| failed(&error))
    }

    /// A broken rulebook may never end.
    fn limit(&self) -> mlua::Result<()> {
        let Some(patience) = self.patience else { return Ok(()) };
        let triggers = HookTriggers::new().every_nth_instruction(patience);
        self.host.set_hook(triggers, |_, _| Err(mlua::Error::runtime("it does not end")))
    }

    fn profile_table(&mut self, profile: &Profile) -> mlua::Result<Table> {
        if let Some((known, table)) = &self.profile
            && known == profile
        {
            return Ok(table.clone());
        }
        let Value::Table(table) = self.lua.to_value(profile)? else {
            return Err(mlua::Error::runtime("a profile is a table"));
        };
        self.profile = Some((profile.clone(), table.clone()));
        Ok(table)
    }

    /// Lets one command happen to one pair.
    ///
    /// # Errors
    /// What `records` failed with, or [`Error::Internal`].
    pub fn step(
        &mut self,
        step: &Step<'_>,
        now: Millis,
        records: &mut dyn Records,
    ) -> Result<Reply> {
        let mut question = Writer::default();
        question.list(3);
        question.text("step");
        question.instant(now);
        question.message_pack(&mut &pack_command(step.pair, &step.command)?[..])?;
        self.ask(&question, Some(step.profile), records, |values| reply::read(values))
    }

    /// Joins records that were kept elsewhere.
    ///
    /// # Errors
    /// What `records` failed with, or [`Error::Internal`].
    pub fn join(
        &mut self,
        join: &Join<'_>,
        now: Millis,
        records: &mut dyn Records,
    ) -> Result<Reply> {
        let mut question = Writer::default();
        question.list(4);
        question.text("join");
        question.instant(now);
        let (ids, told) = (join.kept.ids(), join.kept.records());
        question.list(ids.len());
        ids.iter().for_each(|id| question.text(id));
        question.list(told.len());
        for (id, bytes) in told {
            question.list(2);
            question.text(id);
            record::decode(bytes, &mut question)?;
        }
        self.ask(&question, Some(join.profile), records, |values| reply::read(values))
    }

    /// Reads a number's facts, or joins a report to them.
    ///
    /// # Errors
    /// [`Error::Internal`] if the facts cannot be read.
    pub fn number_step(
        &mut self,
        report: Option<&NumberReport>,
        now: Millis,
        known: Option<&[u8]>,
    ) -> Result<(NumberReply, Option<Vec<u8>>)> {
        let mut question = Writer::default();
        question.list(4);
        question.text("number");
        question.instant(now);
        match report {
            Some(report) => {
                let packed = rmp_serde::to_vec_named(report)
                    .map_err(|error| Error::Internal(error.to_string()))?;
                question.message_pack(&mut &packed[..])?;
            }
            None => question.nil(),
        }
        match known {
            Some(bytes) => codec::decode_number(bytes, &mut question)?,
            None => question.nil(),
        }
        let read = |values: &mut Reader<'_>| reply::read_number(values, now);
        let reply = self.ask(&question, None, &mut NoRecords, read)?;
        let bytes =
            (reply.changed == 1).then(|| codec::encode_number(&reply.number)).transpose()?;
        Ok((reply, bytes))
    }

    /// All ids that are linked with these ("" is nobody).
    ///
    /// # Errors
    /// What `records` failed with, or [`Error::Internal`].
    pub fn linked(
        &mut self,
        wa: &str,
        user: &str,
        records: &mut dyn Records,
    ) -> Result<Vec<String>> {
        let mut question = Writer::default();
        question.list(3);
        question.text("linked");
        question.text(wa);
        question.text(user);
        self.ask(&question, None, records, |values| {
            (0..values.list()?).map(|_| values.text()).collect()
        })
    }

    /// What is to be told of the customers under these ids when they are forgotten. Asked before.
    ///
    /// # Errors
    /// What `records` failed with, or [`Error::Internal`].
    pub fn forgotten(
        &mut self,
        ids: &[String],
        profile: &Profile,
        now: Millis,
        records: &mut dyn Records,
    ) -> Result<Vec<Change>> {
        let mut question = Writer::default();
        question.list(3);
        question.text("forgotten");
        question.instant(now);
        question.list(ids.len());
        ids.iter().for_each(|id| question.text(id));
        self.ask(&question, Some(profile), records, |values| {
            let changes = 0..values.list()?;
            let change = |_| {
                values.list()?;
                reply::read_change(values)
            };
            changes.map(change).collect()
        })
    }

    /// The newest time in a record.
    ///
    /// # Errors
    /// [`Error::Internal`] if the record cannot be read.
    pub fn newest(&mut self, record: &[u8]) -> Result<Millis> {
        let mut question = Writer::default();
        question.list(2);
        question.text("newest");
        record::decode(record, &mut question)?;
        self.ask(&question, None, &mut NoRecords, |values| values.number().map(Millis))
    }
}
