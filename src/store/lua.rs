//! The rulebook in this process: a Lua 5.1 interpreter that runs the very text that Redis runs.

use mlua::{
    Function, HookTriggers, Lua, LuaOptions, LuaSerdeExt as _, MultiValue, StdLib, Table, Value,
};
use serde::Serialize;

use crate::{
    engine::{
        Error, Result,
        change::Change,
        fact::NumberReport,
        pair::Pair,
        profile::Profile,
        step::{Command, NumberReply, Reply, Step},
        time::Millis,
    },
    rulebook,
    store::{
        codec::{self, record},
        reply,
    },
};

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

/// One interpreter with the rulebook loaded. Not shared: one per thread that runs steps.
#[derive(Debug)]
pub struct Vm {
    lua: Lua,
    rulebook: Table,
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

/// A failure inside Lua: ours if a [`Records`] method failed, else a bug in the rulebook.
fn failure(error: &mlua::Error) -> Error {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>().cloned())
        .unwrap_or_else(|| Error::Internal(format!("the rulebook failed: {error}")))
}

impl Vm {
    /// Loads the rulebook.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not compile.
    pub fn new() -> Result<Self> {
        Self::load(rulebook::DEFINITIONS).map_err(|error| failure(&error))
    }

    /// Loads a rulebook of another text: one that a test broke on purpose. It may never end, so a call
    /// of it fails after `patience` instructions.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not compile.
    pub fn with_rulebook(definitions: &str, patience: u32) -> Result<Self> {
        let mut vm = Self::load(definitions).map_err(|error| failure(&error))?;
        vm.patience = Some(patience);
        Ok(vm)
    }

    fn load(definitions: &str) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        for name in ["dofile", "loadfile", "loadstring", "load", "collectgarbage", "print"] {
            lua.globals().raw_set(name, Value::Nil)?;
        }
        let text = format!("{definitions}return rulebook");
        let rulebook = lua.load(text).set_name("=rulebook").eval()?;
        // Redis refuses globals; so does this host.
        lua.load(
            r#"setmetatable(_G, {
                __newindex = function(_, name) error("global " .. tostring(name) .. " set") end,
                __index = function(_, name) error("global " .. tostring(name) .. " read") end,
            })"#,
        )
        .exec()?;
        Ok(Self { lua, rulebook, profile: None, patience: None })
    }

    /// One of the rulebook's functions, to be called once.
    fn function(&self, name: &str) -> mlua::Result<Function> {
        if let Some(patience) = self.patience {
            let triggers = HookTriggers::new().every_nth_instruction(patience);
            self.lua.set_hook(triggers, |_, _| Err(mlua::Error::runtime("it does not end")))?;
        }
        self.rulebook.raw_get(name)
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
        self.run_step(step, now, records).map_err(|error| failure(&error))
    }

    fn run_step(
        &mut self,
        step: &Step<'_>,
        now: Millis,
        records: &mut dyn Records,
    ) -> mlua::Result<Reply> {
        let profile = self.profile_table(step.profile)?;
        let command = self.lua.to_value(&addressed(step.pair, &step.command))?;
        let function = self.function("step")?;
        let values: Function = self.rulebook.raw_get("reply_of")?;
        let mut reply = self.with_host(records, |host| {
            let reply: Value = function.call((command, profile, now.0, host))?;
            values.call::<MultiValue>(reply)
        })?;
        reply::read(&mut reply).map_err(mlua::Error::external)
    }

    /// Reads a number's facts, or joins a report to them.
    ///
    /// # Errors
    /// [`Error::Internal`] if the facts cannot be read.
    pub fn number_step(
        &self,
        report: Option<&NumberReport>,
        now: Millis,
        known: Option<&[u8]>,
    ) -> Result<(NumberReply, Option<Vec<u8>>)> {
        let known = known.map(|bytes| codec::decode_number(&self.lua, bytes)).transpose()?;
        let reply = self.run_number_step(report, now, known).map_err(|error| failure(&error))?;
        let answer: NumberReply =
            self.lua.from_value(Value::Table(reply.clone())).map_err(|error| failure(&error))?;
        let bytes = (answer.changed == 1)
            .then(|| {
                let facts: Table = reply.raw_get("number").map_err(|error| failure(&error))?;
                codec::encode_number(&facts)
            })
            .transpose()?;
        Ok((answer, bytes))
    }

    fn run_number_step(
        &self,
        report: Option<&NumberReport>,
        now: Millis,
        known: Option<Table>,
    ) -> mlua::Result<Table> {
        let report = report.map(|report| self.lua.to_value(report)).transpose()?;
        let function = self.function("number_step")?;
        function.call((report, now.0, known))
    }

    /// All ids that are linked with these ("" is nobody).
    ///
    /// # Errors
    /// What `records` failed with, or [`Error::Internal`].
    pub fn linked(&self, wa: &str, user: &str, records: &mut dyn Records) -> Result<Vec<String>> {
        self.function("linked")
            .and_then(|function| self.with_host(records, |host| function.call((host, wa, user))))
            .map_err(|error| failure(&error))
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
        let mut run = || -> mlua::Result<Vec<Change>> {
            let profile = self.profile_table(profile)?;
            let function = self.function("forgotten")?;
            self.with_host(records, |host| {
                let list: Vec<Value> = function.call((host, ids, profile, now.0))?;
                list.into_iter().map(|change| self.lua.from_value(change)).collect()
            })
        };
        run().map_err(|error| failure(&error))
    }

    /// The newest time in a record.
    ///
    /// # Errors
    /// [`Error::Internal`] if the record cannot be read.
    pub fn newest(&self, record: &[u8]) -> Result<Millis> {
        let record_of = self.function("record_of").map_err(|error| failure(&error))?;
        let record = record::decode(&self.lua, &record_of, record)?;
        let run = || -> mlua::Result<u64> { self.function("newest")?.call(record) };
        run().map(Millis).map_err(|error| failure(&error))
    }

    /// Runs `body` with the host table that the rulebook asks for records.
    fn with_host<R>(
        &self,
        records: &mut dyn Records,
        body: impl FnOnce(Table) -> mlua::Result<R>,
    ) -> mlua::Result<R> {
        let lua = &self.lua;
        let records = std::cell::RefCell::new(records);
        let record_of: Function = self.rulebook.raw_get("record_of")?;
        let values_of: Function = self.rulebook.raw_get("values_of")?;
        lua.scope(|scope| {
            let host = lua.create_table()?;
            let load = scope.create_function(|lua, id: String| {
                let bytes = records.borrow_mut().load(&id).map_err(mlua::Error::external)?;
                bytes
                    .map(|bytes| {
                        record::decode(lua, &record_of, &bytes).map_err(mlua::Error::external)
                    })
                    .transpose()
            })?;
            let tell = scope.create_function(|lua, change: Value| {
                let change: Change = lua.from_value(change)?;
                records.borrow_mut().tell(change).map_err(mlua::Error::external)
            })?;
            let save = scope.create_function(
                |_, (id, record, at, due_at): (String, Table, u64, Option<u64>)| {
                    let bytes =
                        record::encode(&values_of, &record).map_err(mlua::Error::external)?;
                    let due_at = due_at.map(Millis);
                    let saved = records.borrow_mut().save(&id, bytes, Millis(at), due_at);
                    saved.map_err(mlua::Error::external)
                },
            )?;
            let number = scope.create_function(|lua, ()| {
                let bytes = records.borrow_mut().number().map_err(mlua::Error::external)?;
                bytes
                    .map(|bytes| codec::decode_number(lua, &bytes).map_err(mlua::Error::external))
                    .transpose()
            })?;
            let erased = scope.create_function(|_, id: String| {
                records.borrow_mut().erased(&id).map(|at| at.0).map_err(mlua::Error::external)
            })?;
            host.raw_set("load", load)?;
            host.raw_set("tell", tell)?;
            host.raw_set("save", save)?;
            host.raw_set("number", number)?;
            host.raw_set("erased", erased)?;
            body(host)
        })
    }
}
