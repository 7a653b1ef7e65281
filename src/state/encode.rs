//! State as JSON, and back: the content of the state file.
//!
//! Entry points: [`encode`], [`decode`] and, for a large file, [`decode_from`]. One line per record, so that a change is a small diff and one pass writes
//! it; documents are copied as text and never parsed. Fields that this version does not know are kept as they
//! are, which is why the impls are written by hand: serde's `flatten` cannot keep raw text.
//! Nothing here touches a file.
//!
//! ```json
//! {"format":1,
//! "written_by":"0.1.0",
//! "mesh":"demo",
//! "lineage":"0123456789abcdef0123456789abcdef",
//! "serial":7,
//! "generation":12,
//! "account":"111122223333",
//! "region":"us-west-2",
//! "sandbox":false,
//! "records":{
//! "aws.vpc/network1":{"id":"vpc-0a","status":"ready","schema_version":1,"target":{"aws":{"region":"us-west-2"}},"declared":"…","depends_on":[],"spec":{…},"outputs":{…}}
//! },
//! "intents":{
//! },
//! "checksum":"59db4317"}
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Seek, Write};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::model::{Address, Document};

use super::frame::{self, Damage};
use super::record::{Durations, FORMAT, Record, RecordStatus, State};
use super::upgrade::{CHAIN, Chain, Members, UpgradeError};

/// What is written into each file, so that a newer one says which version to use.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a state file's content is not a state that this version can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// It is not what was written.
    Damaged(Damage),
    /// A newer version wrote it.
    Newer {
        /// Its format.
        format: u32,
        /// The version of meshplan that wrote it, if it says so.
        written_by: Option<String>,
    },
    /// It is older, and could not be brought up to date.
    Upgrade(UpgradeError),
}

impl From<Damage> for DecodeError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// A decoded state.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The state.
    pub(crate) state: State,
    /// The file's format, when it was an older one.
    pub(crate) upgraded_from: Option<u32>,
}

/// Writes a state as the content of its file, in pieces of 256 KiB.
pub(crate) fn encode<W: Write>(state: &State, writer: W) -> io::Result<W> {
    let mut summing = Summing { writer, hasher: crc32fast::Hasher::new(), buffer: Vec::with_capacity(BUFFER) };
    state.serialize(&mut serde_json::Serializer::with_formatter(&mut summing, Lines { depth: 0 }))?;
    summing.pass_on()?;
    let Summing { mut writer, hasher, .. } = summing;
    writer.write_all(frame::tail(hasher.finalize()).as_bytes())?;
    Ok(writer)
}

/// Reads the content of a state file.
pub(crate) fn decode(text: &[u8]) -> Result<Decoded, DecodeError> {
    decode_with(&CHAIN, text)
}

/// Reads the content of a state file of this many bytes record by record, so that memory holds the state and not its text as
/// well. The text is read twice: only what was found whole is parsed.
pub(crate) fn decode_from(mut source: impl BufRead + Seek, length: usize) -> io::Result<Result<Decoded, DecodeError>> {
    if let Err(damage) = frame::check_from(&mut source, length)? {
        return Ok(Err(damage.into()));
    }
    source.rewind()?;
    if let Some(state) = decode_lines(&mut source)? {
        return Ok(Ok(Decoded { state, upgraded_from: None }));
    }
    // Another format, or the lines of another program: the long way knows both, and what is wrong.
    let mut text = Vec::with_capacity(length);
    source.rewind()?;
    source.read_to_end(&mut text)?;
    Ok(decode(&text))
}

/// Reads what [`encode`] wrote, by its lines; `None` for anything else.
fn decode_lines(source: &mut impl BufRead) -> io::Result<Option<State>> {
    let (mut line, mut rest, mut records) = (Vec::new(), Vec::new(), Vec::new());
    let (mut is_record, mut n_tables) = (false, 0);
    while source.read_until(b'\n', &mut line)? > 0 {
        is_record &= line.first() == Some(&b'"');
        if !is_record {
            rest.extend_from_slice(&line);
            is_record = line == RECORDS;
            n_tables += usize::from(is_record);
        } else if let Some(record) = decode_record(&line) {
            records.push(record);
        } else {
            return Ok(None);
        }
        line.clear();
    }
    if frame::format_of(&rest) != Ok(FORMAT) || n_tables != 1 {
        return Ok(None);
    }
    let state = serde_json::from_slice::<State>(&rest).ok().filter(|state| state.records.is_empty());
    // At once, not one by one: a tree that grows in order stays half empty.
    Ok(state.map(|state| State { records: records.into_iter().collect(), ..state }))
}

/// `"ADDRESS":RECORD` and a comma, if another follows.
fn decode_record(line: &[u8]) -> Option<(Address, Record)> {
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n').trim_end_matches(',');
    let (address, record) = line.strip_prefix('"')?.split_once("\":")?;
    Some((address.parse().ok()?, serde_json::from_str(record).ok()?))
}

/// The line before the first record.
const RECORDS: &[u8] = b"\"records\":{\n";

fn decode_with(chain: &Chain, text: &[u8]) -> Result<Decoded, DecodeError> {
    frame::check(text)?;
    let format = frame::format_of(text)?;
    if format > FORMAT {
        let written_by = shape(serde_json::from_slice::<Writer>(text)).ok().and_then(|writer| writer.written_by);
        return Err(DecodeError::Newer { format, written_by });
    }
    if format == FORMAT {
        return Ok(Decoded { state: shape(serde_json::from_slice(text))?, upgraded_from: None });
    }
    let members: Members = shape(serde_json::from_slice(text))?;
    let members = chain.state(format, members).map_err(DecodeError::Upgrade)?;
    let text = shape(serde_json::to_vec(&members))?;
    Ok(Decoded { state: shape(serde_json::from_slice(&text))?, upgraded_from: Some(format) })
}

fn shape<T>(result: Result<T, serde_json::Error>) -> Result<T, Damage> {
    result.map_err(|error| Damage::Shape(error.to_string()))
}

#[derive(Deserialize)]
struct Writer {
    #[serde(default)]
    written_by: Option<String>,
}

/// A member's name, borrowed from the text where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &FORMAT)?;
        map.serialize_entry("written_by", VERSION)?;
        map.serialize_entry("mesh", &self.mesh)?;
        map.serialize_entry("lineage", &self.lineage)?;
        map.serialize_entry("serial", &self.serial)?;
        map.serialize_entry("generation", &self.generation)?;
        map.serialize_entry("account", &self.account)?;
        map.serialize_entry("region", &self.region)?;
        map.serialize_entry("sandbox", &self.sandbox)?;
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("records", &self.records)?;
        map.serialize_entry("intents", &self.intents)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StateVisitor;
        impl<'de> Visitor<'de> for StateVisitor {
            type Value = State;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a state")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<State, A::Error> {
                let (mut mesh, mut lineage, mut serial, mut generation, mut sandbox) = (None, None, None, None, None);
                let (mut account, mut region) = (None, None);
                let (mut records, mut intents) = (None, BTreeMap::new());
                let mut extra = BTreeMap::new();
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        "mesh" => mesh = Some(map.next_value()?),
                        "lineage" => lineage = Some(map.next_value()?),
                        "serial" => serial = Some(map.next_value()?),
                        "generation" => generation = Some(map.next_value()?),
                        "account" => account = map.next_value()?,
                        "region" => region = map.next_value()?,
                        "sandbox" => sandbox = Some(map.next_value()?),
                        "records" => records = Some(map.next_value::<BTreeMap<Address, Record>>()?),
                        "intents" => intents = map.next_value()?,
                        // Of the file, not of the state; the reader has looked at them already.
                        "format" | "written_by" | "checksum" => drop(map.next_value::<&RawValue>()?),
                        unknown => {
                            let name = unknown.to_owned();
                            extra.insert(name, map.next_value()?);
                        }
                    }
                }
                Ok(State {
                    mesh: mesh.ok_or_else(|| A::Error::missing_field("mesh"))?,
                    lineage: lineage.ok_or_else(|| A::Error::missing_field("lineage"))?,
                    serial: serial.ok_or_else(|| A::Error::missing_field("serial"))?,
                    generation: generation.ok_or_else(|| A::Error::missing_field("generation"))?,
                    account,
                    region,
                    sandbox: sandbox.ok_or_else(|| A::Error::missing_field("sandbox"))?,
                    records: records.ok_or_else(|| A::Error::missing_field("records"))?,
                    intents,
                    extra,
                })
            }
        }
        deserializer.deserialize_map(StateVisitor)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("schema_version", &self.schema_version)?;
        map.serialize_entry("target", &self.target)?;
        map.serialize_entry("declared", &self.declared)?;
        map.serialize_entry("depends_on", &self.depends_on)?;
        if self.protected {
            map.serialize_entry("protected", &true)?;
        }
        if self.durations != Durations::default() {
            map.serialize_entry("durations", &self.durations)?;
        }
        if !self.deposed.is_empty() {
            map.serialize_entry("deposed", &self.deposed)?;
        }
        for (name, value) in &self.extra {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("spec", &self.spec)?;
        map.serialize_entry("outputs", &self.outputs)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordVisitor;
        impl<'de> Visitor<'de> for RecordVisitor {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let (mut id, mut status, mut schema_version, mut target) = (None, None::<RecordStatus>, None, None);
                let (mut declared, mut spec, mut outputs) = (None, None::<Document>, None::<Document>);
                let (mut depends_on, mut deposed) = (Vec::new(), Vec::new());
                let (mut protected, mut durations) = (false, Durations::default());
                let mut extra = BTreeMap::new();
                while let Some(Name(name)) = map.next_key()? {
                    match name.as_ref() {
                        "id" => id = Some(map.next_value()?),
                        "status" => status = Some(map.next_value()?),
                        "schema_version" => schema_version = Some(map.next_value()?),
                        "target" => target = Some(map.next_value()?),
                        "declared" => declared = Some(map.next_value()?),
                        "depends_on" => depends_on = map.next_value()?,
                        "protected" => protected = map.next_value()?,
                        "durations" => durations = map.next_value()?,
                        "deposed" => deposed = map.next_value()?,
                        "spec" => spec = Some(map.next_value()?),
                        "outputs" => outputs = Some(map.next_value()?),
                        unknown => {
                            let name = unknown.to_owned();
                            extra.insert(name, map.next_value()?);
                        }
                    }
                }
                Ok(Record {
                    id: id.ok_or_else(|| A::Error::missing_field("id"))?,
                    status: status.ok_or_else(|| A::Error::missing_field("status"))?,
                    schema_version: schema_version.ok_or_else(|| A::Error::missing_field("schema_version"))?,
                    target: target.ok_or_else(|| A::Error::missing_field("target"))?,
                    spec: spec.ok_or_else(|| A::Error::missing_field("spec"))?,
                    outputs: outputs.ok_or_else(|| A::Error::missing_field("outputs"))?,
                    declared: declared.ok_or_else(|| A::Error::missing_field("declared"))?,
                    depends_on,
                    protected,
                    durations,
                    deposed,
                    extra,
                })
            }
        }
        deserializer.deserialize_map(RecordVisitor)
    }
}

/// Breaks lines at the members of the file and of its two tables, and nowhere else: [`decode_lines`] reads by them. The outermost object stays open
/// for the checksum.
struct Lines {
    depth: usize,
}

impl serde_json::ser::Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        let separator: &[u8] = match (self.depth, first) {
            (2, true) => b"\n",
            (1 | 2, false) => b",\n",
            // Also at the start of the file: every one begins with `{"format":`.
            (_, true) => b"",
            (_, false) => b",",
        };
        writer.write_all(separator)
    }

    fn write_raw_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if !fragment.contains('\n') {
            return writer.write_all(fragment.as_bytes());
        }
        // In JSON a line break is always between tokens: a space does.
        writer.write_all(fragment.replace('\n', " ").as_bytes())
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(match self.depth {
            0 => b",\n",
            1 => b"\n}",
            _ => b"}",
        })
    }
}

/// How much is gathered before it is summed and passed on: the serializer writes a few bytes at a time.
const BUFFER: usize = 256 * 1024;

/// Sums what passes through.
struct Summing<W> {
    writer: W,
    hasher: crc32fast::Hasher,
    buffer: Vec<u8>,
}

impl<W: Write> Summing<W> {
    fn pass_on(&mut self) -> io::Result<()> {
        self.hasher.update(&self.buffer);
        self.writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.pass_on()?;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests;
