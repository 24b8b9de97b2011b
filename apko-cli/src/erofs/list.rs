//! `apko erofs ls`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use oci_image::{ErofsFile, ErofsFileKind, ErofsImage};

use crate::build::print;
use crate::failure::{Failure, Outcome};

pub(super) fn ls(layers: &[PathBuf]) -> Outcome {
    let mut merged = BTreeMap::new();
    for path in layers {
        let file = File::open(path).map_err(|error| Failure::at(path, &error))?;
        let files = ErofsImage::open(BufReader::new(file)).and_then(|mut image| image.files());
        let files = files.map_err(|error| Failure::at(path, &error))?;
        // A single layer is mounted as it is: there are no whiteouts in it.
        merge(&mut merged, files, layers.len() > 1);
    }
    let rows: Vec<Row> = merged.values().filter_map(Row::of).collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row.columns[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (column, width) in row.columns.iter().zip(&widths) {
            text += &format!("{column:width$}  ");
        }
        text += &row.name;
        text.push('\n');
    }
    print(&text)
}

/// Lays a layer over those below it, by the rules of overlayfs. Paths are kept as their parts, whose order is that of
/// a walk.
fn merge(below: &mut BTreeMap<Vec<String>, ErofsFile>, files: Vec<ErofsFile>, is_overlay: bool) {
    for file in files {
        let parts: Vec<String> = file.path.split('/').map(str::to_owned).collect();
        let remove = |below: &mut BTreeMap<Vec<String>, ErofsFile>| {
            below.retain(|path, _| !(path.len() > parts.len() && path.starts_with(&parts)));
        };
        let is_opaque = file
            .xattrs
            .get("trusted.overlay.opaque")
            .is_some_and(|value| value == b"y");
        if is_overlay && (file.kind != ErofsFileKind::Directory || is_opaque) && !file.path.is_empty() {
            remove(below);
        }
        match file.kind {
            ErofsFileKind::CharDevice(0, 0) if is_overlay => drop(below.remove(&parts)),
            _ => drop(below.insert(parts, file)),
        }
    }
}

struct Row {
    columns: [String; 4],
    name: String,
}

impl Row {
    fn of(file: &ErofsFile) -> Option<Self> {
        let size = match &file.kind {
            ErofsFileKind::Regular(size) => size.to_string(),
            ErofsFileKind::Symlink(target) => target.len().to_string(),
            ErofsFileKind::CharDevice(major, minor) | ErofsFileKind::BlockDevice(major, minor) => {
                format!("{major},{minor}")
            }
            _ => "0".to_owned(),
        };
        let name = match &file.kind {
            _ if file.path.is_empty() => return None,
            ErofsFileKind::Symlink(target) => format!("{} -> {target}", file.path),
            _ => file.path.clone(),
        };
        let columns = [
            mode(file),
            format!("{}/{}", file.uid, file.gid),
            size,
            cli_support::minute(file.mtime),
        ];
        Some(Self { columns, name })
    }
}

/// The ten characters of `ls -l`.
fn mode(file: &ErofsFile) -> String {
    let kind = match file.kind {
        ErofsFileKind::Directory => 'd',
        ErofsFileKind::Regular(_) => '-',
        ErofsFileKind::Symlink(_) => 'l',
        ErofsFileKind::CharDevice(..) => 'c',
        ErofsFileKind::BlockDevice(..) => 'b',
        ErofsFileKind::Fifo => 'p',
        ErofsFileKind::Socket => 's',
    };
    let mut text = String::from(kind);
    for (at, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if file.mode & (0o400 >> at) == 0 {
            '-'
        } else {
            letter
        });
    }
    for (bit, column, letter) in [(0o4000, 3, 's'), (0o2000, 6, 's'), (0o1000, 9, 't')] {
        if file.mode & bit != 0 {
            let runs = text.as_bytes()[column] == b'x';
            let letter = if runs { letter } else { letter.to_ascii_uppercase() };
            text.replace_range(column..=column, letter.encode_utf8(&mut [0; 4]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use oci_image::write_erofs_layer;
    use tarball::{Entry, Header, Kind};

    use super::*;

    fn layer(members: &[(&str, Kind, u32)]) -> Vec<ErofsFile> {
        let entry = |(path, kind, mode): &(&str, Kind, u32)| Entry {
            header: Header {
                path: (*path).to_owned(),
                mode: *mode,
                ..Header::new(*kind)
            },
            content: "".into(),
        };
        let (_, blob) = write_erofs_layer(members.iter().map(entry), 0, Vec::new()).unwrap();
        ErofsImage::open(Cursor::new(blob)).unwrap().files().unwrap()
    }

    #[test]
    fn upper_layers_hide_what_they_delete() {
        let mut merged = BTreeMap::new();
        let base = [
            ("d", Kind::Directory, 0o755),
            ("d/a", Kind::Regular, 0o644),
            ("d.txt", Kind::Regular, 0o644),
            ("e", Kind::Regular, 0o644),
        ];
        merge(&mut merged, layer(&base), true);
        let upper = [("d", Kind::CharDevice, 0), ("f", Kind::Regular, 0o4711)];
        merge(&mut merged, layer(&upper), true);
        let rows: Vec<Row> = merged.values().filter_map(Row::of).collect();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["d.txt", "e", "f"]);
        assert_eq!(rows[2].columns[0], "-rws--x--x");
        assert_eq!(rows[2].columns[3], "1970-01-01 00:00");
    }
}
