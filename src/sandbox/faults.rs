//! What goes wrong on purpose: scripted rules, or random transient faults from a seed.
//!
//! Entry points: [`Faults::load`] for a file, [`Faults::parse`] for `seed=7,rate=0.05`. Both are deterministic for the
//! same sequence of calls. The counts of a script live as long as the process.
//!
//! ```toml
//! [[rules]]
//! operation = "CreateSubnet"   # * and ? are wildcards; "eks:Create*" is one service's
//! region = "us-*"              # every region if absent; IAM's is aws-global
//! after = 2                    # calls that pass first; 0 if absent
//! times = 1                    # calls that are hit; 1 if absent
//! fault = "lost-answer"
//! ```
//!
//! | fault | what happens |
//! | --- | --- |
//! | `throttle` | the service's own refusal of a call too many, no effect |
//! | `server-error` | the service's own HTTP 500, no effect |
//! | `refused` | the connection is refused, no effect |
//! | `lost-answer` | the effect is done, then the connection is cut |
//! | `slow` | `seconds` of further latency before the effect |
//! | `never-ready` | what the call makes stays pending for ever |
//! | `quota` | the create's own limit error |
//! | `delete` | before the call, somebody else deletes `resource` with all that hangs on it |
//! | `modify` | before the call, somebody else makes the call in `[rules.call]`; `{id}` stands for `resource`'s id |
//!
//! A call names its `Action`, and its `Service` where that is not EC2; members of JSON documents are named with dots.
//! `resource` is an id, with wildcards, or `tag:KEY=VALUE`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::wildcard::matches;
use super::world::ids::number_of;

/// What goes wrong; [`Faults::default`] is nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    rules: Vec<Rule>,
    random: Option<Random>,
}

/// Why faults cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultsError {
    /// The text is not `seed=N,rate=P`.
    #[error("`{0}` is not a fault setting: write `seed=N,rate=P` with P between 0 and 1, or the path of a fault file")]
    Setting(String),
    /// The file cannot be read.
    #[error("cannot read the fault file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not a fault file.
    #[error("the fault file {} is not valid", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong where.
        source: Box<toml::de::Error>,
    },
    /// A rule makes no sense.
    #[error("rule {number} of the fault file {}: {why}", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// Which rule, from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Random {
    seed: u64,
    rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    operation: String,
    region: String,
    after: u64,
    times: u64,
    verdict: Verdict,
}

/// What is done with one call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing goes wrong.
    None,
    /// It is throttled.
    Throttle,
    /// It fails inside the cloud.
    ServerError,
    /// It does not get there.
    Refuse,
    /// Its answer is lost.
    LoseAnswer,
    /// It takes longer.
    Slow(Duration),
    /// What it makes stays pending.
    NeverReady,
    /// A limit is said to be reached.
    Quota,
    /// Somebody else changes something first.
    Meddle(Change),
}

/// A change that somebody else makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which object: an id, with wildcards, or `tag:KEY=VALUE`.
    pub(crate) resource: String,
    /// The call that is made; without one the object is deleted.
    pub(crate) call: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    operation: String,
    #[serde(default = "any")]
    region: String,
    #[serde(default)]
    after: u64,
    #[serde(default = "once")]
    times: u64,
    fault: Kind,
    seconds: Option<f64>,
    resource: Option<String>,
    call: Option<BTreeMap<String, String>>,
}

fn any() -> String {
    "*".to_owned()
}

const fn once() -> u64 {
    1
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Throttle,
    ServerError,
    Refused,
    LostAnswer,
    Slow,
    NeverReady,
    Quota,
    Delete,
    Modify,
}

impl RuleText {
    fn verdict(&self) -> Result<Verdict, &'static str> {
        let takes = |seconds: bool, resource: bool, call: bool| {
            if self.seconds.is_some() && !seconds {
                return Err("only `slow` takes `seconds`");
            }
            if self.resource.is_some() && !resource {
                return Err("only `delete` and `modify` take `resource`");
            }
            if self.call.is_some() && !call { Err("only `modify` takes `call`") } else { Ok(()) }
        };
        let plain = |verdict: Verdict| takes(false, false, false).map(|()| verdict);
        Ok(match self.fault {
            Kind::Slow => {
                takes(true, false, false)?;
                let seconds = self.seconds.ok_or("`slow` needs `seconds`")?;
                let extra = Duration::try_from_secs_f64(seconds).map_err(|_| "`seconds` must not be negative")?;
                Verdict::Slow(extra)
            }
            Kind::Delete => {
                takes(false, true, false)?;
                let resource = self.resource.clone().ok_or("`delete` needs `resource`: an id or tag:KEY=VALUE")?;
                Verdict::Meddle(Change { resource, call: None })
            }
            Kind::Modify => {
                takes(false, true, true)?;
                let call = self.call.clone().ok_or("`modify` needs a table `call` with the call's parameters")?;
                if !call.contains_key("Action") {
                    return Err("`call` needs `Action`, the name of the operation");
                }
                Verdict::Meddle(Change { resource: self.resource.clone().unwrap_or_default(), call: Some(call) })
            }
            Kind::Throttle => plain(Verdict::Throttle)?,
            Kind::ServerError => plain(Verdict::ServerError)?,
            Kind::Refused => plain(Verdict::Refuse)?,
            Kind::LostAnswer => plain(Verdict::LoseAnswer)?,
            Kind::NeverReady => plain(Verdict::NeverReady)?,
            Kind::Quota => plain(Verdict::Quota)?,
        })
    }
}

impl Faults {
    /// Random transient faults: `seed=N,rate=P`, where P is the share of calls that are hit.
    pub fn parse(text: &str) -> Result<Self, FaultsError> {
        let setting = || FaultsError::Setting(text.to_owned());
        let (mut seed, mut rate) = (None, None);
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(setting)?;
            match name.trim() {
                "seed" if seed.is_none() => seed = Some(value.trim().parse().map_err(|_| setting())?),
                "rate" if rate.is_none() => rate = Some(value.trim().parse().map_err(|_| setting())?),
                _ => return Err(setting()),
            }
        }
        let (Some(seed), Some(rate)) = (seed, rate) else { return Err(setting()) };
        if !(0.0..=1.0).contains(&rate) {
            return Err(setting());
        }
        Ok(Self { rules: Vec::new(), random: Some(Random { seed, rate }) })
    }

    /// What a person wrote after `--sandbox-faults`: a setting, or else the path of a fault file.
    pub fn from_argument(text: &str) -> Result<Self, FaultsError> {
        let is_setting = text.starts_with("seed=") || text.starts_with("rate=");
        if is_setting { Self::parse(text) } else { Self::load(Path::new(text)) }
    }

    /// The rules of a file; see the module's documentation for its form.
    pub fn load(path: &Path) -> Result<Self, FaultsError> {
        let text = std::fs::read_to_string(path).map_err(|source| FaultsError::Io { path: path.to_owned(), source })?;
        Self::from_toml(&text, path)
    }

    /// The rules in a text; `path` is what messages call it.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, FaultsError> {
        let file: FileText = toml::from_str(text)
            .map_err(|source| FaultsError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        let rules = file.rules.iter().enumerate().map(|(index, rule)| {
            let verdict = rule.verdict().map_err(|why| FaultsError::Rule {
                path: path.to_owned(),
                number: index + 1,
                why: why.to_owned(),
            })?;
            let RuleText { operation, region, after, times, .. } = rule;
            Ok(Rule { operation: operation.clone(), region: region.clone(), after: *after, times: *times, verdict })
        });
        Ok(Self { rules: rules.collect::<Result<_, FaultsError>>()?, random: None })
    }
}

/// How far the faults have come.
#[derive(Debug)]
pub(crate) struct FaultState {
    faults: Faults,
    /// How many calls each rule has matched.
    matched: Vec<u64>,
    calls: u64,
    /// What the world had done before this process, so that a new process does not meet the same faults again.
    salt: u64,
}

impl FaultState {
    pub(crate) fn new(faults: &Faults, salt: u64) -> Self {
        Self { faults: faults.clone(), matched: vec![0; faults.rules.len()], calls: 0, salt }
    }

    /// What is done with the next call. The first rule that hits decides.
    pub(crate) fn decide(&mut self, service: &str, operation: &str, region: &str) -> Verdict {
        self.calls += 1;
        let qualified = format!("{service}:{operation}");
        let mut verdict = None;
        for (rule, matched) in self.faults.rules.iter().zip(&mut self.matched) {
            let named = if rule.operation.contains(':') { qualified.as_str() } else { operation };
            if matches(&rule.operation, named) && matches(&rule.region, region) {
                *matched += 1;
                let hits = *matched > rule.after && *matched - rule.after <= rule.times;
                if hits && verdict.is_none() {
                    verdict = Some(rule.verdict.clone());
                }
            }
        }
        verdict.or_else(|| self.random()).unwrap_or(Verdict::None)
    }

    fn random(&self) -> Option<Verdict> {
        let Random { seed, rate } = self.faults.random.as_ref()?;
        let draw = number_of(&[b"fault", &seed.to_le_bytes(), &self.salt.to_le_bytes(), &self.calls.to_le_bytes()]);
        // 32 bits decide whether, the others which.
        let share = f64::from(u32::try_from(draw >> 32).unwrap_or_default()) / f64::from(u32::MAX);
        (share < *rate).then(|| match draw % 5 {
            0 => Verdict::Throttle,
            1 => Verdict::ServerError,
            2 => Verdict::Refuse,
            3 => Verdict::LoseAnswer,
            _ => Verdict::Slow(Duration::from_secs(1 + draw / 5 % 5)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<Faults, String> {
        Faults::from_toml(text, Path::new("faults.toml")).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", source.unwrap_or_default())
        })
    }

    #[test]
    fn rules_hit_after_so_many_and_so_often() {
        let faults = rules("[[rules]]\noperation = 'Create*'\nafter = 1\ntimes = 2\nfault = 'throttle'").unwrap();
        let mut state = FaultState::new(&faults, 0);
        let verdicts: Vec<bool> =
            (0..5).map(|_| state.decide("ec2", "CreateVpc", "us-west-2") == Verdict::Throttle).collect();
        assert_eq!(verdicts, [false, true, true, false, false]);
        assert_eq!(state.decide("ec2", "DescribeVpcs", "us-west-2"), Verdict::None);
    }

    #[test]
    fn random_faults_follow_the_seed_and_the_rate() {
        let draw = |text: &str| {
            let mut state = FaultState::new(&Faults::parse(text).unwrap(), 0);
            (0..2000).map(|_| state.decide("ec2", "X", "r")).collect::<Vec<_>>()
        };
        assert_eq!(draw("seed=7,rate=0.1"), draw("seed=7, rate=0.1"));
        assert_ne!(draw("seed=7,rate=0.1"), draw("seed=8,rate=0.1"));
        let hit = draw("seed=7,rate=0.1").iter().filter(|verdict| **verdict != Verdict::None).count();
        assert!((150..=250).contains(&hit), "{hit}");
        assert!(draw("seed=7,rate=0").iter().all(|verdict| *verdict == Verdict::None));
    }

    #[test]
    fn errors_name_the_place_and_the_way_out() {
        for text in ["", "seed=1", "seed=x,rate=0.1", "seed=1,rate=2", "seed=1,seed=2,rate=0", "rate"] {
            let error = Faults::parse(text).unwrap_err().to_string();
            assert!(error.contains("write `seed=N,rate=P`"), "{error}");
        }
        let missing = "[[rules]]\noperation = 'X'\nfault = 'slow'";
        assert_eq!(rules(missing).unwrap_err(), "rule 1 of the fault file faults.toml: `slow` needs `seconds`: ");
        assert!(rules("[[rules]]\noperation = 'X'\nfault = 'fire'").unwrap_err().contains("unknown variant `fire`"));
        let absent = Faults::from_argument("no/such/file").unwrap_err().to_string();
        assert_eq!(absent, "cannot read the fault file no/such/file");
        assert!(rules("[[rules]]\nfault = 'quota'").unwrap_err().contains("missing field `operation`"));
    }
}
