//! Flags that scripts bring along from docker: those that ask for nothing here are taken, with a word
//! where something is lost; those that would change the result are refused, with the reason and a way out.

use clap::Args;

use crate::{failure::Failure, host};

/// What docker's `build` has besides.
#[derive(Args)]
pub(super) struct Dockers {
    /// Nothing is left behind by a step
    #[arg(long, hide = true)]
    rm: bool,
    /// Nothing is left behind by a step that fails either
    #[arg(long, hide = true)]
    force_rm: bool,
    /// No context is sent anywhere
    #[arg(long, hide = true)]
    compress: bool,
    /// What was done is told by `--progress=plain`
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    /// There is one builder: kiln
    #[arg(long, hide = true, value_name = "NAME")]
    builder: Option<String>,
    #[arg(long, hide = true, value_name = "KIND")]
    isolation: Option<String>,
    #[arg(long, hide = true, value_name = "OPTION")]
    security_opt: Vec<String>,
    #[arg(long, hide = true, value_name = "CACHE")]
    cache_from: Vec<String>,
    #[arg(long, hide = true, value_name = "CACHE")]
    cache_to: Vec<String>,
    #[command(flatten)]
    attest: Attest,
}

/// Documents about how an image came to be.
#[derive(Args)]
struct Attest {
    #[arg(long, hide = true, value_name = "ATTESTATION")]
    attest: Vec<String>,
    #[arg(long, hide = true, value_name = "MODE")]
    provenance: Option<String>,
    #[arg(long, hide = true, value_name = "MODE")]
    sbom: Option<String>,
    #[arg(long, hide = true, value_name = "POLICY")]
    policy: Vec<String>,
}

const CACHE: &str =
    "leave it out: what builds made is kept in the store, so keep that ($KILN_ROOT) between runs";

impl Dockers {
    /// Refuses what would change the result.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let usual = ["", "default"];
        if let Some(kind) = &self.isolation
            && !usual.contains(&kind.as_str())
        {
            let what = format!("--isolation: there is no `{kind}` here");
            return Err(refused(what, "leave it out, or say `default`"));
        }
        if let Some(option) = self.security_opt.first() {
            let what = format!("--security-opt: `{option}` is not carried out for builds");
            let hint = "leave it out; a RUN that needs more says `RUN --security=insecure`, and the build \
                        `--allow security.insecure`";
            return Err(refused(what, hint));
        }
        if !self.cache_from.is_empty() {
            let what = "--cache-from: kiln does not read caches from elsewhere yet";
            return Err(refused(what, CACHE));
        }
        if !self.cache_to.is_empty() {
            let what = "--cache-to: kiln does not write caches to elsewhere yet";
            return Err(refused(what, CACHE));
        }
        self.attest.check()
    }

    /// Says what is lost.
    pub(super) fn tell(&self) {
        if let Some(name) = &self.builder
            && name != "default"
        {
            host::say(&format!(
                "note: --builder: `{name}` is not asked; kiln builds here, by itself"
            ));
        }
    }
}

impl Attest {
    fn check(&self) -> Result<(), Failure> {
        let off = |text: &str| {
            let no = ["false", "0", "f", "F", "FALSE", "False", "disabled=true"];
            text.split(',').any(|field| no.contains(&field))
        };
        for (flag, given) in [("--provenance", &self.provenance), ("--sbom", &self.sbom)] {
            if given.as_deref().is_some_and(|text| !off(text)) {
                return Err(attests(flag, &format!("or say `{flag}=false`")));
            }
        }
        if self.attest.iter().any(|text| !off(text)) {
            return Err(attests("--attest", "or add `,disabled=true`"));
        }
        match self.policy.is_empty() {
            true => Ok(()),
            false => {
                let what = "--policy: kiln does not evaluate policies";
                let hint = "name images by digest, and ADD with `--checksum`";
                Err(refused(what.to_owned(), hint))
            }
        }
    }
}

fn attests(flag: &str, way: &str) -> Failure {
    let what = format!("{flag}: kiln makes no attestations yet");
    refused(what, &format!("leave it out, {way}"))
}

fn refused(what: impl Into<String>, hint: &str) -> Failure {
    Failure::new(what).hint(hint).code(125)
}
