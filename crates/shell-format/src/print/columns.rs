//! The layout of cells in columns.
//!
//! The reference prints through a writer of elastic tab stops. Its own indentation and the text of the
//! script are protected from it, with two exceptions, which scripts do meet: a tab in the middle of a
//! line of a `<<-` here-document, and the vertical tab and form feed anywhere in text without a tab.
//! There a tab ends a cell, cells above each other are padded with blanks to one width, and a form feed
//! ends the line and all columns.

use super::ESCAPE;

/// A cell: its text, how wide it is, and whether a tab ended it.
#[derive(Default)]
struct Cell {
    text: Vec<u8>,
    tab: bool,
}

impl Cell {
    fn width(&self) -> usize {
        self.text.iter().filter(|&&b| b & 0xc0 != 0x80).count()
    }
}

/// A line: its cells of which the last one is part of no column.
type Line = Vec<Cell>;

/// Lays out the text of a statement and takes the protection away.
pub(super) fn lay_out(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    if has_cells(text) {
        lay_out_cells(text, &mut out);
    } else {
        text.split(|byte| *byte == ESCAPE)
            .for_each(|part| out.extend_from_slice(part));
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Tells whether any line has more than one cell, or ends in a form feed; hardly any script's does.
fn has_cells(text: &[u8]) -> bool {
    let mut protected = false;
    text.iter().any(|byte| {
        protected ^= *byte == ESCAPE;
        !protected && matches!(byte, b'\t' | b'\x0b' | b'\x0c')
    })
}

fn lay_out_cells(text: &[u8], out: &mut Vec<u8>) {
    let mut block: Vec<Line> = vec![vec![Cell::default()]];
    let mut protected = false;
    for &byte in text {
        match byte {
            ESCAPE => protected = !protected,
            b'\t' | b'\x0b' if !protected => {
                if let Some(cell) = current(&mut block) {
                    cell.tab = byte == b'\t';
                }
                if let Some(line) = block.last_mut() {
                    line.push(Cell::default());
                }
            }
            b'\n' | b'\x0c' if !protected => {
                // A line without columns, like a form feed, ends all columns above it.
                let alone = block.last().is_none_or(|line| line.len() == 1);
                block.push(vec![Cell::default()]);
                if alone || byte == b'\x0c' {
                    flush(&mut block, out);
                }
            }
            _ => {
                if let Some(cell) = current(&mut block) {
                    cell.text.push(byte);
                }
            }
        }
    }
    flush(&mut block, out);
}

fn current(block: &mut [Line]) -> Option<&mut Cell> {
    block.last_mut()?.last_mut()
}

/// Writes all lines of a block and begins a new one. The last line is yet without its newline.
fn flush(block: &mut Vec<Line>, out: &mut Vec<u8>) {
    let lines = std::mem::replace(block, vec![vec![Cell::default()]]);
    let widths = widths(&lines);
    for (index, (line, widths)) in lines.iter().zip(&widths).enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        write_line(line, widths, out);
    }
}

/// The widths of the cells of each line: a column is a run of lines that have a cell there.
fn widths(lines: &[Line]) -> Vec<Vec<usize>> {
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < lines.len() {
            let run = widths[start..]
                .iter()
                .take_while(|widths| widths.len() > column)
                .count();
            let cells = || lines[start..start + run].iter().map(|line| &line[column]);
            // Columns of nothing but vertical tabs take no room.
            let width = if cells().any(|cell| cell.tab || !cell.text.is_empty()) {
                cells().map(|cell| cell.width() + 1).max().unwrap_or(0)
            } else {
                0
            };
            for widths in &mut widths[start..start + run] {
                widths[column] = width;
            }
            start += run.max(1);
        }
    }
    widths
}

fn write_line(line: &[Cell], widths: &[usize], out: &mut Vec<u8>) {
    let mut leading = true;
    for (index, cell) in line.iter().enumerate() {
        let width = widths.get(index).copied().unwrap_or(0);
        leading &= cell.text.is_empty();
        out.extend_from_slice(&cell.text);
        if leading {
            // Empty cells at the start of a line are tabs.
            out.resize(out.len() + width.div_ceil(8), b'\t');
        } else {
            out.resize(out.len() + width.saturating_sub(cell.width()), b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{has_cells, lay_out, lay_out_cells};

    #[test]
    fn text_without_cells_is_what_laying_out_would_make_of_it() {
        let table: [(&[u8], bool); 6] = [
            (b"", false),
            (b"a\nb\n\nc", false),
            (b"if x; then\n\xff\t\xffy\nfi", false),
            (b"\xc3\xa4\xff\t\xff", false),
            (b"a\tb\nccc\td", true),
            (b"a\x0cb", true),
        ];
        for (text, cells) in table {
            assert_eq!(has_cells(text), cells, "{text:?}");
            let mut out = Vec::new();
            lay_out_cells(text, &mut out);
            assert_eq!(lay_out(text).into_bytes(), out, "{text:?}");
        }
        assert_eq!(lay_out(b"a\tb\nccc\td"), "a   b\nccc d");
    }
}
