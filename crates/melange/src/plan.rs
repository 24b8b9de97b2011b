//! What one build makes, in plain values: the form between a compiled configuration and the build.

use std::collections::BTreeMap;
use std::time::Duration;

use melange_analyze::Options;
use melange_pipeline::runner::{Step, User};

/// Everything a build needs to know of its configuration.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The version of all packages with the epoch: `1.2.3-r0`.
    pub version: String,
    /// The packages in the order they are made, the main package first.
    pub packages: Vec<PackagePlan>,
    /// The licences of all packages.
    pub copyright: Vec<Copyright>,
    /// The CPE of what is packaged.
    pub cpe: Option<String>,
    /// The variables of every step.
    pub environment: BTreeMap<String, String>,
    /// The user of the steps, or the runner's default.
    pub user: Option<User>,
    /// The build user's numbers, whose files become root's.
    pub build_user: Option<User>,
    /// Kernel capabilities that steps get beyond the usual ones.
    pub add_capabilities: Vec<String>,
    /// Kernel capabilities that steps do not get.
    pub drop_capabilities: Vec<String>,
    /// Whether steps are kept from the network, whatever the build is asked for.
    pub is_offline: bool,
    /// How long the whole build may take.
    pub timeout: Option<Duration>,
    /// The compiled configuration as JSON, for provenance.
    pub configuration: String,
}

impl Plan {
    /// The licences as one expression.
    pub(crate) fn license_expression(&self) -> String {
        let licenses = self.copyright.iter();
        let licenses: Vec<String> = licenses
            .map(|copyright| melange_analyze::license::normalize(&copyright.license))
            .collect();
        licenses.join(" AND ")
    }

    /// The copyright notices, each on lines of its own.
    pub(crate) fn notices(&self) -> String {
        let notices = self.copyright.iter().map(|copyright| &copyright.attestation);
        let notices = notices.filter(|notice| !notice.is_empty());
        notices.map(|notice| format!("{notice}\n")).collect()
    }
}

/// A licence of the packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copyright {
    /// The licence expression, or the name of a licence that SPDX does not know.
    pub license: String,
    /// The notice, or empty.
    pub attestation: String,
    /// Where the licence's text lies in the workspace, or empty.
    pub license_path: String,
}

/// One package that a build makes.
#[derive(Clone, Debug, Default)]
pub struct PackagePlan {
    /// Its name.
    pub name: String,
    /// `pkgdesc`
    pub description: String,
    /// `url`
    pub url: String,
    /// `commit`
    pub commit: String,
    /// The steps that fill it.
    pub steps: Vec<Step>,
    /// What it depends on.
    pub runtime: Vec<String>,
    /// What it provides.
    pub provides: Vec<String>,
    /// What it replaces.
    pub replaces: Vec<String>,
    /// `provider_priority`, left out where it is 0.
    pub provider_priority: Option<u64>,
    /// `replaces_priority`, left out where it is 0.
    pub replaces_priority: Option<u64>,
    /// What the analysis leaves out.
    pub options: Options,
    /// Its scripts by the member's name, such as `.post-install` or `.trigger`.
    pub scripts: BTreeMap<String, String>,
    /// The paths whose change runs its trigger.
    pub triggers: Vec<String>,
    /// Linters whose findings do not fail the build.
    pub disabled_linters: Vec<String>,
    /// The pipelines that its tests use.
    pub test_pipelines: Vec<String>,
    /// File capabilities by path, as `security.capability` holds them.
    pub file_capabilities: BTreeMap<String, FileCapability>,
    /// The sources that its own steps fetch.
    pub sources: Vec<spdx_sbom::Source>,
}

/// The capability sets of a file, each a mask of capability numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCapability {
    /// Those in effect at once; only whether there are any is stored.
    pub effective: u32,
    /// Those the program may use.
    pub permitted: u32,
    /// Those that go on to programs it starts.
    pub inheritable: u32,
}

impl FileCapability {
    /// The value of the attribute `security.capability`: revision 3 of the kernel's `vfs_cap_data` without a root
    /// user, as the Go melange writes it.
    pub fn encode(self) -> Vec<u8> {
        const REVISION: u32 = 0x0300_0000;
        let magic = REVISION | u32::from(self.effective != 0);
        let words = [magic, self.permitted, self.inheritable, 0, 0, 0];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
