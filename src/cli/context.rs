//! What every command needs: the options that hold for all, the files that the user names, and the states there are.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::sync::oneshot;

use super::Exit;
use super::args::Globals;
use super::clock::WallClock;
use super::interrupt::Interrupts;
use super::session::sandbox_directory;
use crate::compile::{Compiled, compile};
use crate::model::diagnostic::did_you_mean;
use crate::model::{AttrPath, Clock, Diagnostic, Digest};
use crate::plan::Move;
use crate::state::{Birth, Loaded, Opening, State, Store};
use crate::topology::{self, Parsed};
use crate::ui::{Streams, diagnostics};
use crate::vault::Vault;

/// The topology that is meant when none is named.
const DEFAULT_TOPOLOGY: &str = "meshplan.toml";

/// The command failed and has said why.
#[derive(Debug, thiserror::Error)]
#[error("what is wrong was said above")]
pub(super) struct Reported;

/// The answer to a question. Reading a terminal cannot be called off, and a signal has to be heard meanwhile: it gets a
/// thread of its own, which ends with the process.
async fn answer(streams: Streams, question: String) -> io::Result<bool> {
    let (tell, told) = oneshot::channel();
    let ask = move || drop(tell.send(streams.ask(&question)));
    std::thread::Builder::new().name("answer".to_owned()).spawn(ask)?;
    told.await.map_err(io::Error::other)?
}

/// What every command needs.
pub(super) struct Context {
    pub(super) globals: Globals,
    pub(super) streams: Streams,
    /// What this process was called as, for whoever finds a state locked.
    command: String,
    /// Where the operator's own identity is kept.
    identity: Option<PathBuf>,
    /// Where programs are looked for: the folders of `PATH`.
    pub(super) path: Vec<PathBuf>,
}

/// A topology that passed its rules, and what it means.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) parsed: Parsed,
    pub(super) mesh: String,
    pub(super) region: Option<String>,
    pub(super) moves: Vec<Move>,
    pub(super) compiled: Compiled,
    pub(super) clusters: usize,
    pub(super) networks: usize,
}

impl Source {
    /// The digest of its text.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.text)
    }
}

impl Context {
    pub(super) fn new(globals: Globals, streams: Streams, arguments: &[OsString], identity: Option<PathBuf>) -> Self {
        let words: Vec<_> = arguments.iter().skip(1).map(|word| word.to_string_lossy()).collect();
        Self { globals, streams, command: format!("meshplan {}", words.join(" ")), identity, path: Vec::new() }
    }

    /// The same where programs are looked for in these folders.
    pub(super) fn searching(self, path: Vec<PathBuf>) -> Self {
        Self { path, ..self }
    }

    /// Who seals the keys that a run makes, and opens them. `lineage` is the state's.
    pub(super) fn vault(&self, lineage: &str) -> Vault {
        // What is tried in the sandbox leaves nothing outside of it.
        let sandbox = || Some(sandbox_directory(self).join("identity.txt"));
        let own = if self.globals.sandbox { sandbox() } else { self.identity.clone() };
        Vault::new(own, self.globals.identity.clone(), lineage)
    }

    /// Reads, checks and compiles a topology. Findings are printed; an error among them ends the command.
    pub(super) fn topology(&self, path: Option<&Path>) -> anyhow::Result<Source> {
        let path = match path {
            Some(path) => path.to_owned(),
            None if Path::new(DEFAULT_TOPOLOGY).exists() => PathBuf::from(DEFAULT_TOPOLOGY),
            None => bail!("no topology is given, and there is no `{DEFAULT_TOPOLOGY}` here: name one"),
        };
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).with_context(|| format!("could not read the topology `{name}`"))?;
        let mut parsed = topology::parse(&text);
        if let (Some(topology), Some(folder)) = (&mut parsed.topology, path.parent()) {
            topology.found_in(folder);
            let read = |file: &str| fs::read_to_string(file).map_err(|error| error.to_string());
            parsed.diagnostics.extend(topology.read_manifests(read));
        }
        if parsed.has_errors() {
            parsed.topology = None;
        }
        let source = diagnostics::Source { name: &name, text: &text, spans: &parsed.spans };
        self.print(&parsed.diagnostics, Some(source));
        let Some(topology) = &parsed.topology else {
            self.streams.say(&format!("{name}: {}", diagnostics::summary(&parsed.diagnostics)));
            return Err(Reported.into());
        };
        let compiled = compile(topology);
        self.print(&compiled.diagnostics, Some(source));
        if compiled.diagnostics.iter().any(Diagnostic::is_error) {
            self.streams.say(&format!("{name}: {}", diagnostics::summary(&compiled.diagnostics)));
            return Err(Reported.into());
        }
        let region = parsed.spans.value(&AttrPath::keys(&["mesh", "region"])).and_then(|range| text.get(range));
        let region = region.map(|quoted| quoted.trim_matches(['"', '\'']).to_owned());
        Ok(Source {
            mesh: topology.mesh.id.clone(),
            region,
            moves: topology.moved.iter().map(|m| Move { from: m.from.clone(), to: m.to.clone() }).collect(),
            clusters: topology.clusters.len(),
            networks: topology.networks.len(),
            compiled,
            name,
            text,
            parsed,
        })
    }

    /// Prints findings on standard error.
    pub(super) fn print(&self, findings: &[Diagnostic], source: Option<diagnostics::Source<'_>>) {
        if !findings.is_empty() {
            let colour = self.streams.err_style() != crate::plan::render::Style::plain();
            self.streams.say_text(&diagnostics::render(findings, source, colour));
        }
    }

    /// Prints the planner's findings; an error among them ends the command.
    pub(super) fn judge(&self, findings: &[Diagnostic], source: Option<&Source>) -> anyhow::Result<()> {
        let shown = source.map(|source| diagnostics::Source {
            name: &source.name,
            text: &source.text,
            spans: &source.parsed.spans,
        });
        self.print(findings, shown);
        if findings.iter().any(Diagnostic::is_error) { Err(Reported.into()) } else { Ok(()) }
    }

    /// The mesh that is meant: by its id, by its topology, or because its state is the only one.
    pub(super) fn mesh(&self, given: Option<&str>) -> anyhow::Result<String> {
        let known = Store::list(&self.globals.state)?;
        let directory = self.globals.state.display();
        let Some(given) = given else {
            return match known.as_slice() {
                [] => bail!("there is no state in `{directory}`: `--state DIR` names another directory"),
                [only] => Ok(only.clone()),
                several => bail!("there are several states in `{directory}`: name one of {}", several.join(", ")),
            };
        };
        if Path::new(given).is_file() {
            return Ok(self.topology(Some(Path::new(given)))?.mesh);
        }
        if known.iter().any(|mesh| mesh == given) {
            return Ok(given.to_owned());
        }
        match did_you_mean(given, known.iter().map(String::as_str)) {
            Some(near) => bail!("there is no state of mesh `{given}` in `{directory}`: did you mean `{near}`?"),
            None => bail!("there is no state of mesh `{given}` in `{directory}`, and no such topology"),
        }
    }

    /// The state of a mesh as it is now, without the right to write; a newborn one if there is none.
    pub(super) fn state(&self, mesh: &str, region: Option<&str>) -> anyhow::Result<State> {
        match Store::read(&self.globals.state, mesh)? {
            Some(loaded) => Ok(self.noted(loaded)),
            None => Ok(self.birth(mesh, region).state(mesh)?),
        }
    }

    /// The state of a mesh as it is now; an error if there is none.
    pub(super) fn existing_state(&self, mesh: &str) -> anyhow::Result<State> {
        match Store::read(&self.globals.state, mesh)? {
            Some(loaded) => Ok(self.noted(loaded)),
            None => bail!("there is no state of mesh `{mesh}` in `{}`", self.globals.state.display()),
        }
    }

    fn noted(&self, loaded: Loaded) -> State {
        for note in &loaded.notes {
            self.streams.say(&format!("note: {note}"));
        }
        loaded.state
    }

    /// Opens a state for writing.
    pub(super) fn open(&self, mesh: &str, birth: Birth) -> anyhow::Result<Store> {
        let store = Store::open(&self.globals.state, mesh, self.opening(birth))?;
        for note in store.notes() {
            self.streams.say(&format!("note: {note}"));
        }
        Ok(store)
    }

    /// How this process opens a state.
    pub(super) fn opening(&self, birth: Birth) -> Opening {
        Opening { birth, ..Opening::new(self.command.clone(), WallClock.now()) }
    }

    /// What a state starts from. In the sandbox the lineage follows from the mesh's id, so that what is printed
    /// there can be compared; tokens only have to be unlike each other within that one world.
    pub(super) fn birth(&self, mesh: &str, region: Option<&str>) -> Birth {
        let sandbox = self.globals.sandbox;
        let lineage = sandbox.then(|| Digest::of_parts(&[b"sandbox", mesh.as_bytes()]).to_string());
        Birth { sandbox, region: region.map(str::to_owned), lineage }
    }

    /// Asks for approval, or refuses when nobody is there to give it. Answers how the command ends without it, having
    /// said so.
    pub(super) async fn approve(&self, question: &str, yes: bool) -> anyhow::Result<Option<Exit>> {
        if yes {
            return Ok(None);
        }
        if !self.streams.can_ask() {
            bail!("nobody is there to approve: `--yes` answers the question `{question}`");
        }
        let Interrupts { first, .. } = Interrupts::listen()?;
        let question = format!("{question} Type `yes` to go on: ");
        tokio::select! {
            biased;
            () = first => {
                self.streams.say("\ninterrupted: nothing was changed");
                Ok(Some(Exit::Interrupted))
            }
            answer = answer(self.streams, question) => {
                if answer? {
                    return Ok(None);
                }
                self.streams.say("refused: nothing was changed");
                Ok(Some(Exit::Failed))
            }
        }
    }
}
