//! What the checks found: a verdict for each check of each ordered pair of clusters, with causes and remedies.

use std::fmt;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Every istiod of the reader reads the peer.
    ControlPlane,
    /// Every istiod of the reader knows an address of the peer's network that its proxies can use.
    Gateways,
    /// The peer's load balancer has healthy targets, and they listen.
    LoadBalancer,
    /// The reader's proxies are told of the peer's endpoints.
    Endpoints,
    /// Requests of the reader are answered by the peer.
    Traffic,
    /// Both trust the same root.
    Trust,
}

impl Check {
    /// All checks, in the order in which one needs the other.
    pub const ALL: [Self; 6] =
        [Self::Trust, Self::ControlPlane, Self::Gateways, Self::LoadBalancer, Self::Endpoints, Self::Traffic];

    /// Its name in text and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Gateways => "gateways",
            Self::LoadBalancer => "load-balancer",
            Self::Endpoints => "endpoints",
            Self::Traffic => "traffic",
            Self::Trust => "trust",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How one check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds; what was seen.
    Pass(String),
    /// It does not hold, for these causes.
    Fail(Vec<Cause>),
    /// It cannot hold before another check does.
    Follows(Check),
    /// There is nothing to check; why.
    Skipped(String),
}

/// Why a check does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// What it is, for scripts and tests: kebab-case, and the same in later versions.
    pub code: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether waiting may be enough.
    pub settles: bool,
}

impl Cause {
    /// Something that stays as it is until somebody mends it.
    pub(super) fn new(code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, what: what.into(), remedy: remedy.into(), settles: false }
    }

    /// Something that may pass by itself.
    pub(super) fn settling(code: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { settles: true, ..Self::new(code, what, remedy) }
    }
}

/// One check of one pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// How it ended.
    pub verdict: Verdict,
}

/// An ordered pair of clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Whose control plane and proxies look.
    pub reader: String,
    /// At whom.
    pub peer: String,
    /// The checks, in the order of [`Check::ALL`].
    pub findings: Vec<Finding>,
}

impl Pair {
    /// How a check ended.
    #[must_use]
    pub fn verdict(&self, check: Check) -> Option<&Verdict> {
        self.findings.iter().find(|finding| finding.check == check).map(|finding| &finding.verdict)
    }

    /// Whether no check failed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.iter().all(|finding| match finding.verdict {
            Verdict::Pass(_) | Verdict::Skipped(_) => true,
            Verdict::Fail(_) | Verdict::Follows(_) => false,
        })
    }
}

/// What all checks found.
#[must_use = "an unread report is not actionable"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The mesh.
    pub mesh: String,
    /// Every ordered pair, by reader and peer.
    pub pairs: Vec<Pair>,
    /// What else should be known: what was not checked, and why.
    pub notes: Vec<String>,
}

/// A cause and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern<'a> {
    /// The cause.
    pub cause: &'a Cause,
    /// Every check of every pair that fails for it: reader, peer, check.
    pub fails: Vec<(&'a str, &'a str, Check)>,
}

impl Report {
    /// Whether the mesh works as far as it was checked.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.pairs.iter().all(Pair::holds)
    }

    /// Whether all that is wrong may pass by itself.
    #[must_use]
    pub fn may_settle(&self) -> bool {
        self.concerns().iter().all(|concern| concern.cause.settles)
    }

    /// Every cause once, in the order of the checks that they fail, with all that fails for it.
    #[must_use]
    pub fn concerns(&self) -> Vec<Concern<'_>> {
        let mut concerns: Vec<Concern<'_>> = Vec::new();
        let mut index = std::collections::BTreeMap::new();
        for check in Check::ALL {
            for pair in &self.pairs {
                let Some(Verdict::Fail(causes)) = pair.verdict(check) else { continue };
                for cause in causes {
                    let at = *index.entry(cause).or_insert_with(|| {
                        concerns.push(Concern { cause, fails: Vec::new() });
                        concerns.len() - 1
                    });
                    if let Some(concern) = concerns.get_mut(at) {
                        concern.fails.push((&pair.reader, &pair.peer, check));
                    }
                }
            }
        }
        concerns
    }
}
