//! From files to a [`Snapshot`], or to all their problems. Starting, reloading and `check` use this one way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::check::{Destinations, Known};
use crate::config::evidence::{self, Evidence, Past};
use crate::config::files::{self, Files, Seen};
use crate::config::samples::Samples;
use crate::config::settings::{self, Broken, Configured};
use crate::config::substitute::{Environment, Found, NoEnvironment, substitute};
use crate::config::{DEFAULT_PRESET, Settings, Snapshot, certificate, check, external, guard, overrides, roster};
use crate::event::own;
use crate::message::Templates;
use crate::problem::{DOTS, File, Problem, Problems};
use crate::rules::{Presets, RuleSet};
use crate::source::presets::Preset;
use crate::source::{Source, presets};
use crate::{channels, rules, yaml};

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// What would be in force. `None` where `fanfare.yaml` itself is broken; without rules where only rules or
    /// templates are.
    pub snapshot: Option<Snapshot>,
    /// Everything that is wrong, sorted by place.
    pub problems: Problems,
    /// What was read.
    pub files: Files,
    /// The same, to tell later whether there is anything new.
    pub seen: Seen,
    /// What was made of it, also where something is wrong.
    pub whole: Whole,
}

/// What was made of the files, as far as they could be read: for anyone who looks at them as a whole.
#[derive(Debug)]
pub struct Whole {
    /// The rules; one with a mistake is not among them.
    pub rules: Arc<RuleSet>,
    /// The templates.
    pub templates: Arc<Templates>,
    /// The sources; none where no `fanfare.yaml` could be read.
    pub sources: BTreeMap<String, Arc<Source>>,
    /// The destinations; `None` where none are known.
    pub destinations: Option<Destinations>,
    /// Whether `fanfare.yaml` says where the links of messages lead, as far as it could be read.
    pub has_links: bool,
    /// What events look like.
    pub evidence: Evidence,
    /// What happened before.
    pub past: Past,
    /// Whether every rules file was read without a mistake.
    pub is_whole: bool,
    /// When it was read.
    pub now: Timestamp,
}

impl Loaded {
    /// Every problem for people, without colour.
    pub fn report(&self) -> String {
        let problems: Vec<String> = self.problems.iter().map(|problem| problem.render(false)).collect();
        problems.join("\n\n")
    }

    /// Adds what else is to be said of the files, without the secrets that it may quote.
    pub fn add(&mut self, problems: Problems) {
        self.problems.extend(guarded(problems, self.files.config.as_deref()));
        self.problems.sort();
    }
}

/// Loads `fanfare.yaml` and the folders it names.
pub fn load(file: &Path, environment: &dyn Environment, now: Timestamp) -> Loaded {
    load_after(file, environment, now, |_| Past::default())
}

/// The same, held against what happened before, which `past` looks up once it is known where that is kept.
pub fn load_after(
    file: &Path,
    environment: &dyn Environment,
    now: Timestamp,
    past: impl FnOnce(&Settings) -> Past,
) -> Loaded {
    load_with(file, environment, now, (|_| (), past))
}

/// The same with changes to rules and templates that nobody has saved: for anyone who tries them.
pub fn load_edited(
    file: &Path,
    environment: &dyn Environment,
    now: Timestamp,
    edit: impl FnOnce(&mut Files),
) -> Loaded {
    load_with(file, environment, now, (edit, |_: &Settings| Past::default()))
}

fn load_with(
    file: &Path,
    environment: &dyn Environment,
    now: Timestamp,
    (edit, past): (impl FnOnce(&mut Files), impl FnOnce(&Settings) -> Past),
) -> Loaded {
    let mut problems = Problems::new();
    let mut files = Files::default();
    let configured = configured(file, environment, now, &mut files, &mut problems);
    let mut said = Problems::new();
    let folders = configured.as_ref().map(|Configured { settings, .. }| {
        let folders = settings.folders();
        files.read_folders(&folders, &mut said);
        edit(&mut files);
        folders
    });
    let seen = Seen::of(file, folders, &files, problems.iter().chain(said.iter()), environment);
    let tls = configured.as_ref().and_then(|configured| configured.settings.tls.as_ref());
    let seen = seen.with_tls(tls.map(|tls| (tls.cert.clone(), tls.key.clone())), environment);
    let past = configured.as_ref().map(|configured| past(&configured.settings)).unwrap_or_default();
    finish(Gathered { configured, files, seen, problems, said, past }, file, now)
}

/// Loads only the folders beside `file`: no secrets and no destinations are known.
pub fn load_rules_only(file: &Path, now: Timestamp) -> Loaded {
    let settings = settings::defaults(file);
    let mut files = Files::default();
    let mut said = Problems::new();
    let folders = settings.folders();
    files.read_folders(&folders, &mut said);
    let folders = Some(folders);
    let seen = Seen::of(file, folders, &files, said.iter(), &NoEnvironment);
    let gathered = Gathered { configured: None, files, seen, problems: Problems::new(), said, past: Past::default() };
    finish(gathered, file, now)
}

/// What reading came to.
struct Gathered {
    configured: Option<Configured>,
    files: Files,
    seen: Seen,
    /// What is wrong with `fanfare.yaml`.
    problems: Problems,
    /// What is wrong with rules and templates.
    said: Problems,
    /// What happened before.
    past: Past,
}

fn configured(
    file: &Path,
    environment: &dyn Environment,
    now: Timestamp,
    files: &mut Files,
    problems: &mut Problems,
) -> Option<Configured> {
    let text = files::read_guarded(file, problems)?;
    files.config = Some(text.clone());
    let tree = yaml::read(&text, problems);
    guard::show(&text, tree.as_ref());
    let Some(tree) = tree else {
        if !problems.has_errors() {
            problems.push(Problem::error("empty", format!("`{}` is empty", text.path)));
        }
        return None;
    };
    let mut found = Found::default();
    let base = file.parent().unwrap_or(Path::new(""));
    let mut said = Problems::new();
    let tree = substitute(&tree, base, environment, &mut found, &mut said);
    let mut configured = settings::configured(&tree, file, &mut said);
    if let Some(tls) = configured.as_mut().and_then(|configured| configured.settings.tls.as_mut())
        && !environment.is_absent()
    {
        tls.certificate = certificate::read(tls, environment, now, &mut said);
    }
    problems.extend(without_secrets(said, &found));
    configured
}

/// Problems of substituted values: the values are cut out, and what is wrong only with a placeholder is no problem.
fn without_secrets(problems: Problems, found: &Found) -> Problems {
    let mut clean = Problems::new();
    let cut = |text: &str| {
        let long = found.values.iter().filter(|value| value.len() > 3);
        long.fold(text.to_owned(), |text, value| text.replace(value.as_str(), DOTS))
    };
    for mut problem in problems {
        let of_placeholder = problem.place.as_ref().is_some_and(|place| found.placeholders.contains(place));
        if of_placeholder && !matches!(problem.code, "no-variable" | "no-file" | "substitution") {
            continue;
        }
        problem.message = cut(&problem.message);
        problem.hint = problem.hint.as_deref().map(cut);
        clean.push(problem);
    }
    clean
}

/// Problems of `fanfare.yaml`, and those without a place: what they quote may be a secret that stands in it.
fn guarded(problems: Problems, config: Option<&File>) -> Problems {
    let Some(config) = config else { return problems };
    let hidden = guard::Hidden::of(config);
    problems.map(|problem| match &problem.place {
        Some(place) if !place.file.is_guarded() => problem,
        _ => guard::clean(problem, &hidden),
    })
}

fn finish(gathered: Gathered, file: &Path, now: Timestamp) -> Loaded {
    let Gathered { configured, files, seen, mut problems, mut said, past } = gathered;
    let config_is_broken = problems.has_errors();
    let settings = match &configured {
        Some(configured) => configured.settings.clone(),
        None => settings::defaults(file),
    };
    let (sources, destinations, broken) = match configured {
        Some(configured) => (configured.sources, Some(configured.destinations), configured.broken),
        None => (BTreeMap::new(), None, Broken::default()),
    };
    let rules = rules::parse(&files.rules, &preset_names(&sources), settings.timezone.clone(), &mut said);
    let is_whole = !said.has_errors();
    let templates = Templates::load(&files.templates, channels::formats(), &mut said);
    let destinations = destinations.map(|destinations| check::bind(destinations, &rules, &settings, &mut said));
    let known =
        Known { templates: &templates, sources: &sources, destinations: destinations.as_ref(), broken: &broken };
    check::names(&rules, &known, &mut said);
    roster::check(&rules, &known, is_whole, &mut said);
    overrides::check(&rules, &known, &mut said);
    if let Some(destinations) = &destinations {
        check::own_listeners(destinations, &settings, &mut said);
        external::check(&rules, &templates, destinations, &mut said);
    }
    let source = evidence::sample_source(&sources);
    let samples = Samples::read(&files.samples, &sources, &mut said);
    let mut known = evidence::sample_events(&samples, &source, now);
    known.extend(own::ALL.iter().map(|own| evidence::own(own, now)));
    let tests = evidence::of_tests(&files.tests, &rules, &samples, &source, now);
    let evidence = Evidence::new(known, tests, &past);
    said.extend(check::renderings(&rules, &templates, &settings, &evidence.for_messages(), now));
    let rules_are_broken = said.has_errors();
    problems.extend(said);
    let mut problems = guarded(problems, files.config.as_deref());
    problems.sort();
    let (rules, templates) = (Arc::new(rules), Arc::new(templates));
    let has_links = settings.links.is_some() || config_is_broken;
    let snapshot = (!config_is_broken).then(|| Snapshot {
        hash: files.hash()[..12].to_owned(),
        settings,
        sources: sources.clone(),
        destinations: destinations.clone().unwrap_or_default(),
        rules: (!rules_are_broken).then(|| rules.clone()),
        templates: templates.clone(),
        samples: Arc::new(samples),
        since: now,
        seen: seen.clone(),
    });
    let whole = Whole { rules, templates, sources, destinations, has_links, evidence, past, is_whole, now };
    Loaded { snapshot, problems, files, seen, whole }
}

/// The names that the sources' presets bring. Where no source is known, those of the sender that Fanfare is made for.
fn preset_names(sources: &BTreeMap<String, Arc<Source>>) -> Presets {
    let names = |preset: &Preset| {
        let names = preset.names.iter();
        names.map(|(name, paths)| ((*name).to_owned(), paths.iter().map(|path| (*path).to_owned()).collect())).collect()
    };
    let mut presets: Presets = sources.values().map(|source| (source.name.to_string(), names(source.preset))).collect();
    if presets.is_empty()
        && let Some(preset) = presets::named(DEFAULT_PRESET)
    {
        presets.insert(DEFAULT_PRESET.to_owned(), names(preset));
    }
    presets
}

/// The settings alone, for commands that only need to know where the server is.
pub fn settings_only(file: &Path, environment: &dyn Environment) -> Option<Settings> {
    let mut problems = Problems::new();
    let text = files::read_guarded(file, &mut problems)?;
    let tree = yaml::read(&text, &mut problems)?;
    let base = file.parent().unwrap_or(Path::new(""));
    let tree = substitute(&tree, base, environment, &mut Found::default(), &mut problems);
    settings::configured(&tree, file, &mut problems).map(|configured| configured.settings)
}
