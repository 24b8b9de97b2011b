//! Builds that are made twice: `melange build --check`.

use std::fs;

use crate::Outcome;
use crate::quickstart::PACKAGE_CONFIGURATION;
use crate::tests::{Verdict, World};
use crate::tools::{At as _, printed};

/// A package with the time in a file and in the name of another.
const STAMP: &str = "\
package:
  name: stamp
  version: 1.0
  epoch: 0
environment:
  contents:
    packages: [busybox]
pipeline:
  - runs: |
      mkdir -p ${{targets.destdir}}/usr/share/stamp
      cd ${{targets.destdir}}/usr/share/stamp
      echo always the same > same
      printf 'first line\\nbuilt at %s\\n' $(date +%s) > built
      touch only-at-$(date +%s)
";

/// What is built twice is the same, or what differs is told.
pub(crate) fn check(world: &World) -> Outcome<Verdict> {
    let scratch = world.scratch("repeat")?;
    let good = printed(world.melange(&scratch.join("good")).arg("--check"))?;
    if !good.contains("hello-http-1.0.0-r0.apk") {
        return Err(format!("{PACKAGE_CONFIGURATION} gave `{good}`").into());
    }
    let configuration = scratch.join("stamp.yaml");
    fs::write(&configuration, STAMP).at(&configuration)?;
    let mut melange = world.melange_of(&configuration, &scratch.join("bad"));
    let output = melange.arg("--check").env("TMPDIR", &scratch).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let wanted = [
        "stamp-1.0-r0.apk",
        "usr/share/stamp/built: line 2",
        "first   built at ",
        "second  built at ",
        ": only the first build makes it",
        ": only the second build makes it",
        "the second build's packages stay in",
    ];
    let missing = wanted.iter().find(|text| !said.contains(**text));
    match (output.status.code(), missing) {
        (Some(1), None) => Ok(Verdict::Passed),
        (status, missing) => Err(format!("status {status:?}, without {missing:?}:\n{said}").into()),
    }
}
