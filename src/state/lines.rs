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

/// How a [`LineOut`] begins.
const START: &[u8] = br#"{"n":"#;

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
    let (mut next, mut at) = (0, 0);
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let what = match read(line, number == 1) {
            Ok(Line::Header(header)) if header.format > FORMAT => {
                return Err(JournalError::Newer { format: header.format });
            }
            Ok(Line::Header(header)) => {
                journal.header = Some(header);
                None
            }
            Ok(Line::Entry(found)) if found.n == next => {
                let format = journal.header.as_ref().map_or(FORMAT, |header| header.format);
                journal.entries.push((number, entry(format, found.entry, number)?));
                None
            }
            Ok(Line::Entry(found)) => Some(format!("it is entry {}, and entry {next} belongs there", found.n)),
            Err(what) => Some(what),
        };
        if let Some(what) = what {
            if was_durable(&bytes[at..], next) {
                return Err(JournalError::Damaged { line: number, what });
            }
            break;
        }
        next += 1;
        at += line.len();
    }
    journal.good = at as u64;
    journal.torn = (bytes.len() - at) as u64;
    Ok(journal)
}

/// Whether entry `next`, which is not at the start of these bytes, was durable once: there is a line of another group
/// than the one that was being written. Looks for lines anywhere, because a line break can be what is damaged.
fn was_durable(bytes: &[u8], next: u64) -> bool {
    bytes.windows(START.len()).enumerate().filter(|(_, window)| *window == START).any(|(at, _)| {
        let line = bytes[at..].split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        matches!(read(line, false), Ok(Line::Entry(LineIn { n, group, .. })) if group > next || n < next)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;
    use crate::state::testing::{create, promise, ready};

    /// A journal of three groups: of two entries, one, and three. Also where each of its lines ends.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let state = State::new("demo", "aa".to_owned(), true);
        let mut bytes = header(&Header::over(&state)).unwrap();
        bytes.extend(lines(&create("aws.vpc/a", "vpc-1"), 1).unwrap());
        bytes.extend(lines(&[ready("aws.vpc/a")], 3).unwrap());
        bytes.extend(lines(&[promise("aws.vpc/b"), promise("aws.vpc/c"), promise("aws.vpc/d")], 4).unwrap());
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
        (bytes, ends)
    }

    #[test]
    fn every_line_is_json() {
        let (bytes, ends) = journal();
        assert_eq!(ends.len(), 7);
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
        let journal = decode(&bytes).unwrap();
        assert_eq!((journal.entries.len(), journal.good, journal.torn), (6, bytes.len() as u64, 0));
    }

    #[test]
    fn cut_at_any_byte_it_holds_the_lines_before_whatever_the_disk_left_behind() {
        let (bytes, ends) = journal();
        for length in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= length).count();
            for left in [&b""[..], &[0; 700], b"{}\n\n\n", &bytes[..length.min(90)]] {
                let mut cut = bytes[..length].to_vec();
                cut.extend_from_slice(left);
                let Ok(journal) = decode(&cut) else { panic!("cut at {length}") };
                assert_eq!(journal.header.is_some(), whole > 0, "cut at {length}");
                assert_eq!(journal.entries.len(), whole.saturating_sub(1), "cut at {length}");
                assert_eq!(journal.good + journal.torn, cut.len() as u64);
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_an_error_that_names_the_line_unless_it_is_in_the_last_group() {
        let (bytes, ends) = journal();
        for (at, line) in (0..bytes.len()).map(|at| (at, ends.iter().filter(|end| **end <= at).count() + 1)) {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                match decode(&flipped) {
                    Err(JournalError::Damaged { line: found, .. }) => {
                        assert_eq!((found, line < 5), (line as u64, true), "byte {at}");
                    }
                    Err(other) => panic!("byte {at}: {other:?}"),
                    Ok(journal) => {
                        assert!(line >= 5, "byte {at}");
                        assert_eq!(journal.entries.len(), line - 2, "byte {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_hole_in_the_last_group_is_what_a_power_cut_leaves() {
        let (mut bytes, ends) = journal();
        bytes[ends[4]..ends[5]].fill(0);
        assert_eq!(decode(&bytes).unwrap().entries.len(), 4);
        bytes[ends[2]..ends[3]].fill(0);
        assert!(matches!(decode(&bytes), Err(JournalError::Damaged { line: 4, .. })));
    }

    #[test]
    fn lines_that_were_taken_out_or_doubled_are_found() {
        let (bytes, ends) = journal();
        let without = [&bytes[..ends[0]], &bytes[ends[1]..]].concat();
        let Err(JournalError::Damaged { line: 2, what }) = decode(&without) else { panic!("no error") };
        assert_eq!(what, "it is entry 2, and entry 1 belongs there");
        let doubled = [&bytes[..], &bytes[ends[2]..ends[3]]].concat();
        assert!(matches!(decode(&doubled), Err(JournalError::Damaged { line: 8, .. })));
    }

    #[test]
    fn a_newer_journal_is_not_read() {
        let mut newer = Header::over(&State::new("demo", "aa".to_owned(), true));
        newer.format = FORMAT + 1;
        assert_eq!(decode(&header(&newer).unwrap()).unwrap_err(), JournalError::Newer { format: FORMAT + 1 });
    }

    #[test]
    fn a_document_that_somebody_indented_stays_on_one_line() {
        let Entry::Ready { address, declared, depends_on, protected, outputs, took, .. } = ready("aws.vpc/a") else {
            panic!("not ready");
        };
        let spec: Document = serde_json::from_str("{\n  \"a\": \"b\\nc\"\r\n}").unwrap();
        let entry = Entry::Ready { address, spec, declared, depends_on, protected, schema_version: 1, outputs, took };
        let text = lines(&[entry], 1).unwrap();
        assert_eq!(text.split_inclusive(|byte| *byte == b'\n').count(), 1);
        assert!(String::from_utf8(text).unwrap().contains("{   \"a\": \"b\\nc\"  }"));
    }
}
