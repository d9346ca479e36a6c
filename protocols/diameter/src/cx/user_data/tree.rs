//! The elements of a document, in the order of their start tags.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::{DEPTH_MAX, ELEMENTS_MAX, Error};

/// All elements of a document. No recursion, no entities but the five of XML and character
/// references.
#[derive(Default)]
pub(super) struct Tree {
    elements: Vec<Element>,
    /// Elements whose end tag has not been read, the innermost last.
    open: Vec<usize>,
}

struct Element {
    name: String,
    text: String,
    /// Index of the first element after this one that is not inside it.
    end: usize,
}

/// One element of a [`Tree`].
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    tree: &'t Tree,
    index: usize,
}

impl Tree {
    pub(super) fn parse(document: &[u8]) -> Result<Tree, Error> {
        let text = std::str::from_utf8(document).map_err(|error| Error::Malformed {
            offset: error.valid_up_to(),
        })?;
        let mut reader = Reader::from_str(text);
        let mut tree = Tree::default();
        loop {
            let event = reader.read_event();
            let malformed = Error::Malformed {
                offset: usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX),
            };
            match event.map_err(|_| malformed)? {
                Event::Eof if tree.open.is_empty() && !tree.elements.is_empty() => return Ok(tree),
                Event::Start(tag) => tree.start(tag.local_name().as_ref(), malformed)?,
                Event::Empty(tag) => {
                    tree.start(tag.local_name().as_ref(), malformed)?;
                    tree.end(malformed)?;
                }
                Event::End(_) => tree.end(malformed)?,
                Event::Text(text) => tree.append(&text.xml10_content()),
                Event::CData(text) => tree.append(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let character = match reference.resolve_char_ref() {
                        Ok(None) => predefined(&reference.xml10_content()),
                        Ok(character) => character,
                        Err(_) => None,
                    };
                    let character = character.ok_or(malformed)?;
                    tree.append(character.encode_utf8(&mut [0; 4]));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::DocType(_) | Event::Eof => return Err(malformed),
            }
        }
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node {
            tree: self,
            index: 0,
        }
    }

    fn start(&mut self, name: &str, malformed: Error) -> Result<(), Error> {
        if self.elements.len() == ELEMENTS_MAX {
            return Err(Error::Limit("ELEMENTS_MAX"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(Error::Limit("DEPTH_MAX"));
        }
        if self.open.is_empty() && !self.elements.is_empty() {
            return Err(malformed);
        }
        self.open.push(self.elements.len());
        self.elements.push(Element {
            name: name.to_owned(),
            text: String::new(),
            end: 0,
        });
        Ok(())
    }

    fn end(&mut self, malformed: Error) -> Result<(), Error> {
        let index = self.open.pop().ok_or(malformed)?;
        self.elements[index].end = self.elements.len();
        Ok(())
    }

    fn append(&mut self, text: &str) {
        if let Some(&index) = self.open.last() {
            self.elements[index].text.push_str(text);
        }
    }
}

/// The entities of XML 1.0 4.6.
fn predefined(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

impl<'t> Node<'t> {
    /// The name without its prefix.
    pub(super) fn name(self) -> &'t str {
        &self.tree.elements[self.index].name
    }

    /// The character data directly inside, white space at both ends included.
    pub(super) fn text(self) -> &'t str {
        &self.tree.elements[self.index].text
    }

    /// The elements directly inside.
    pub(super) fn children(self) -> impl Iterator<Item = Node<'t>> {
        let tree = self.tree;
        let end = tree.elements[self.index].end;
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let index = (next < end).then_some(next)?;
            next = tree.elements[index].end;
            Some(Node { tree, index })
        })
    }

    /// The elements directly inside that have this name.
    pub(super) fn all(self, name: &'static str) -> impl Iterator<Item = Node<'t>> {
        self.children().filter(move |child| child.name() == name)
    }

    /// The first element directly inside that has this name.
    pub(super) fn first(self, name: &'static str) -> Option<Node<'t>> {
        self.all(name).next()
    }

    /// [`Node::first`] of an element that must be there.
    pub(super) fn require(self, name: &'static str) -> Result<Node<'t>, Error> {
        self.first(name).ok_or(Error::Missing(name))
    }
}
