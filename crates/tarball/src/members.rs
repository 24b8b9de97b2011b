//! Reading an archive member by member.

use std::io::{self, BufRead, Read};

use bytes::Bytes;

use crate::read::{Source, Walk, too_short};
use crate::{BLOCK, Header, Limits, ReadError};

/// Reads an uncompressed archive member by member, by the rules of [`read`](crate::read). It holds one header at a time and
/// no content: what is not read of a content is passed over.
///
/// ```
/// use std::io::Read as _;
/// use tarball::{Header, Kind, Limits, Members, Writer};
///
/// let mut writer = Writer::new(Vec::new());
/// let header = Header { path: "etc/motd".into(), size: 5, ..Header::new(Kind::Regular) };
/// writer.append(&header, b"hello")?;
/// let archive = writer.finish()?;
///
/// let mut members = Members::new(&archive[..], &Limits::default());
/// while let Some(mut member) = members.next_member()? {
///     assert_eq!(member.header().path, "etc/motd");
///     let mut content = String::new();
///     member.read_to_string(&mut content)?;
///     assert_eq!(content, "hello");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Members<R> {
    walk: Walk<Current<R>>,
    header: Header,
    /// Nothing more is read after the end or an error.
    ended: bool,
}

/// One member; reading from it gives its content.
pub struct Member<'m, R> {
    header: &'m Header,
    current: &'m mut Current<R>,
}

/// The archive and what is left of the content that it stands in.
pub(crate) struct Current<R> {
    reader: R,
    left: u64,
    padding: u64,
    size: u64,
}

impl<R: BufRead> Members<R> {
    /// Begins to read an archive.
    pub fn new(reader: R, limits: &Limits) -> Self {
        let current = Current {
            reader,
            left: 0,
            padding: 0,
            size: 0,
        };
        Self {
            walk: Walk::new(current, limits),
            header: Header::new(crate::Kind::Regular),
            ended: false,
        }
    }

    /// The next member; `None` at the end of the archive.
    pub fn next_member(&mut self) -> Result<Option<Member<'_, R>>, ReadError> {
        Ok(match self.advance()? {
            true => Some(self.current()),
            false => None,
        })
    }

    /// Goes to the next member; false at the end of the archive. After an error it stands at the end.
    pub fn advance(&mut self) -> Result<bool, ReadError> {
        if self.ended {
            return Ok(false);
        }
        match self.walk.member() {
            Ok(Some(entry)) => {
                self.header = entry.header;
                Ok(true)
            }
            Ok(None) => {
                self.ended = true;
                Ok(false)
            }
            Err(fault) => {
                self.ended = true;
                Err(fault.after(self.walk.members, &self.header.path))
            }
        }
    }

    /// The member that [`Members::advance`] went to.
    pub fn current(&mut self) -> Member<'_, R> {
        Member {
            header: &self.header,
            current: &mut self.walk.source,
        }
    }

    /// What the archive is read from, which stands behind what was read.
    pub fn reader_mut(&mut self) -> &mut R {
        &mut self.walk.source.reader
    }
}

impl<'m, R> Member<'m, R> {
    /// What the member says of itself.
    pub fn header(&self) -> &'m Header {
        self.header
    }
}

impl<R: BufRead> Read for Member<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.current.read_content(buffer)
    }
}

impl<R: BufRead> Current<R> {
    fn read_content(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if most == 0 {
            return Ok(0);
        }
        let count = self.reader.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(too_short(self.size - self.left, self.size));
        }
        self.left -= count as u64;
        Ok(count)
    }

    /// Passes over the rest of the content and its padding, which the end of the archive may cut off.
    fn pass_over(&mut self) -> io::Result<()> {
        let passed = io::copy(&mut (&mut self.reader).take(self.left), &mut io::sink())?;
        self.left -= passed;
        if self.left > 0 {
            return Err(too_short(self.size - self.left, self.size));
        }
        let padding = std::mem::take(&mut self.padding);
        io::copy(&mut (&mut self.reader).take(padding), &mut io::sink())?;
        Ok(())
    }
}

impl<R: BufRead> Source for Current<R> {
    type Content = ();

    fn block(&mut self) -> io::Result<Option<Bytes>> {
        self.pass_over()?;
        match self.reader.fill_buf()?.is_empty() {
            true => Ok(None),
            false => self.metadata(BLOCK as u64).map(Some),
        }
    }

    fn metadata(&mut self, length: u64) -> io::Result<Bytes> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(length).read_to_end(&mut bytes)? as u64;
        if read < length {
            return Err(too_short(read, length));
        }
        (self.left, self.padding) = (0, padding(length));
        self.pass_over()?;
        Ok(bytes.into())
    }

    fn content(&mut self, header: &Header) -> io::Result<()> {
        (self.size, self.left, self.padding) = (header.size, header.size, padding(header.size));
        Ok(())
    }
}

fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}
