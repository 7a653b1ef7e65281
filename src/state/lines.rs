//! The journal's bytes: a header line that binds it to a state, then one line per entry, each sealed.
//!
//! Entry points: [`header`], [`lines`] and [`decode`]. What a power cut leaves at the end is told apart from damage:
//! entries are appended in groups, one write and one fsync each, and a group is only written once the one before
//! it is durable. So a bad line that nothing of a later group follows belongs to a write that nobody was told had
//! succeeded: it and what follows is ignored. A bad line that a later group follows was durable once, and something
//! has changed it since: that is an error. Nothing here touches a file.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::frame;
use super::journal::Entry;
use super::record::{FORMAT, State};
use super::upgrade::{CHAIN, UpgradeError};

/// The first line: which state the entries are folded over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The format of the entries; the state file's.
    pub(crate) format: u32,
    /// The mesh's id.
    pub(crate) mesh: String,
    /// The state's lineage.
    pub(crate) lineage: String,
    /// The serial of the state that the entries are folded over. A state with a higher one holds them already.
    pub(crate) base: u64,
}

impl Header {
    /// The header of a journal over a state.
    pub(crate) fn over(state: &State) -> Self {
        Self { format: FORMAT, mesh: state.mesh.clone(), lineage: state.lineage.clone(), base: state.serial }
    }
}

/// A journal as read.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Its first line; `None` when not even that was written whole.
    pub(crate) header: Option<Header>,
    /// Its entries, each with the number of its line.
    pub(crate) entries: Vec<(u64, Entry)>,
    /// How many bytes at the start are good.
    pub(crate) good: u64,
    /// How many bytes after them a torn write left.
    pub(crate) torn: u64,
}

/// Why a journal cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JournalError {
    /// A line that was durable is not what was written.
    Damaged {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A newer version wrote it.
    Newer {
        /// Its format.
        format: u32,
    },
    /// An older version wrote it, and it could not be brought up to date.
    Upgrade(UpgradeError),
}

#[derive(Serialize)]
struct LineOut<'a> {
    n: u64,
    group: u64,
    entry: &'a Entry,
}

#[derive(Deserialize)]
struct LineIn<'a> {
    n: u64,
    group: u64,
    #[serde(borrow)]
    entry: &'a RawValue,
}

/// The header line.
pub(crate) fn header(header: &Header) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::new();
    sealed(&mut line, header)?;
    Ok(line)
}

/// The lines of one group of entries, whose first has the number `first`.
pub(crate) fn lines(entries: &[Entry], first: u64) -> Result<Vec<u8>, serde_json::Error> {
    let (mut all, mut line) = (Vec::new(), Vec::new());
    for (n, entry) in (first..).zip(entries) {
        line.clear();
        sealed(&mut line, &LineOut { n, group: first, entry })?;
        all.extend_from_slice(&line);
    }
    Ok(all)
}

fn sealed<T: Serialize>(line: &mut Vec<u8>, value: &T) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *line, value)?;
    // A document that somebody indented keeps its text. In JSON a line break is always between tokens: a space does.
    line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.pop(); // the closing brace comes back behind the checksum
    line.push(b',');
    frame::seal(line);
    Ok(())
}

/// What one line says, once its checksum was found right.
enum Line<'a> {
    Header(Header),
    Entry(LineIn<'a>),
}

fn read(line: &[u8], is_first: bool) -> Result<Line<'_>, String> {
    frame::check(line).map_err(|damage| damage.to_string())?;
    let parsed = if is_first {
        serde_json::from_slice(line).map(Line::Header)
    } else {
        serde_json::from_slice(line).map(Line::Entry)
    };
    parsed.map_err(|error| error.to_string())
}

/// Reads a journal.
pub(crate) fn decode(bytes: &[u8]) -> Result<Journal, JournalError> {
    let mut journal = Journal { header: None, entries: Vec::new(), good: 0, torn: 0 };
    let mut next = 0;
    let mut rest = (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n'));
    while let Some((number, line)) = rest.next() {
        let what = match read(line, number == 1) {
            Ok(Line::Header(header)) => {
                if header.format > FORMAT {
                    return Err(JournalError::Newer { format: header.format });
                }
                journal.header = Some(header);
                next = 1;
                journal.good += line.len() as u64;
                continue;
            }
            Ok(Line::Entry(line_in)) if line_in.n == next => {
                let format = journal.header.as_ref().map_or(FORMAT, |header| header.format);
                journal.entries.push((number, entry(format, line_in.entry, number)?));
                next += 1;
                journal.good += line.len() as u64;
                continue;
            }
            Ok(Line::Entry(line_in)) => {
                let what = format!("it is entry {}, and entry {next} is missing before it", line_in.n);
                if line_in.group > next {
                    return Err(JournalError::Damaged { line: number, what });
                }
                what
            }
            Err(what) => what,
        };
        let is_followed =
            rest.any(|(_, line)| matches!(read(line, false), Ok(Line::Entry(LineIn { group, .. })) if group > next));
        if is_followed {
            return Err(JournalError::Damaged { line: number, what });
        }
    }
    journal.torn = bytes.len() as u64 - journal.good;
    Ok(journal)
}

fn entry(format: u32, raw: &RawValue, line: u64) -> Result<Entry, JournalError> {
    let parsed = if format == FORMAT {
        serde_json::from_str(raw.get())
    } else {
        let upgraded = CHAIN.entry(format, raw.to_owned()).map_err(JournalError::Upgrade)?;
        serde_json::from_str(upgraded.get())
    };
    parsed.map_err(|error| JournalError::Damaged { line, what: format!("it is whole, but no entry: {error}") })
}
