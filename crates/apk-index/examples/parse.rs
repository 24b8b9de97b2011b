//! Prints how long an index takes: `cargo run --release --example parse APKINDEX.tar.gz`.

use std::time::Instant;

use apk_index::Index;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which index?")?;
    let archive = std::fs::read(path)?;
    let start = Instant::now();
    let index = Index::open_unverified(&archive, Index::MAX_SIZE)?;
    println!(
        "{} packages inflated and parsed in {:?}",
        index.packages.len(),
        start.elapsed()
    );
    let text = apk_index::write(&index.packages)?;
    let mut fastest = std::time::Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let packages = apk_index::parse(&text)?;
        fastest = fastest.min(start.elapsed());
        drop(packages);
    }
    println!("{} bytes of text parsed in {fastest:?}", text.len());
    Ok(())
}
