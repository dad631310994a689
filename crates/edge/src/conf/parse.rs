//! Words to nodes: `name word word;` or `name word { ... }`.

use std::sync::Arc;

use super::{
    ConfError, Span,
    lexer::{END_OF_FILE, Token, words},
};

#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: Word,
    pub words: Vec<Word>,
    /// What stands between the braces, if there are any.
    pub block: Option<Vec<Node>>,
}

pub fn parse(text: &str, file: &Arc<str>) -> Result<Vec<Node>, ConfError> {
    let (tokens, end) = words(text, file)?;
    let mut parser = Parser { tokens: tokens.into_iter(), end };
    parser.block(Depth::File)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    File,
    Block,
}

struct Parser {
    tokens: std::vec::IntoIter<(Token, Span)>,
    end: Span,
}

impl Parser {
    fn block(&mut self, depth: Depth) -> Result<Vec<Node>, ConfError> {
        let mut nodes = Vec::new();
        loop {
            match self.tokens.next() {
                None if depth == Depth::File => return Ok(nodes),
                None => {
                    return Err(self.end.error("unexpected end of file, expecting \"}\""));
                }
                Some((Token::Close, _)) if depth == Depth::Block => return Ok(nodes),
                Some((Token::Close, span)) => return Err(span.error("unexpected \"}\"")),
                Some((Token::Open, span)) => return Err(span.error("unexpected \"{\"")),
                Some((Token::Semicolon, span)) => return Err(span.error("unexpected \";\"")),
                Some((Token::Word(text), span)) => nodes.push(self.node(Word { text, span })?),
            }
        }
    }

    fn node(&mut self, name: Word) -> Result<Node, ConfError> {
        let mut words = Vec::new();
        loop {
            match self.tokens.next() {
                None => return Err(self.end.error(END_OF_FILE)),
                Some((Token::Word(text), span)) => words.push(Word { text, span }),
                Some((Token::Semicolon, _)) => return Ok(Node { name, words, block: None }),
                Some((Token::Open, _)) => {
                    let block = Some(self.block(Depth::Block)?);
                    return Ok(Node { name, words, block });
                }
                Some((Token::Close, span)) => return Err(span.error("unexpected \"}\"")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(nodes: &[Node]) -> String {
        let node = |node: &Node| {
            let words = node.words.iter().map(|word| format!(" {}", word.text));
            let block =
                node.block.as_ref().map_or(";".into(), |inner| format!("{{{}}}", draw(inner)));
            format!("{}{}{block}", node.name.text, words.collect::<String>())
        };
        nodes.iter().map(node).collect()
    }

    #[test]
    fn blocks_nest() {
        let nodes = parse("a; b c { d e; f { } } g;", &"f".into()).unwrap();
        assert_eq!(draw(&nodes), "a;b c{d e;f{}}g;");
    }

    #[test]
    fn slips_are_told_as_nginx_tells_them() {
        let refuse = |text: &str, expected: &str| {
            assert_eq!(parse(text, &"f".into()).unwrap_err().to_string(), expected);
        };
        refuse("a;\n}", "unexpected \"}\" in f:2");
        refuse("{", "unexpected \"{\" in f:1");
        refuse(";", "unexpected \";\" in f:1");
        refuse("a { b", "unexpected end of file, expecting \";\" or \"}\" in f:1");
        refuse("a {\n b;\n", "unexpected end of file, expecting \"}\" in f:3");
        refuse("a { b }", "unexpected \"}\" in f:1");
    }

    /// A tree as text that any parser of nginx's grammar reads back.
    fn write(nodes: &[Tree], text: &mut String) {
        for Tree { words, block } in nodes {
            for word in words {
                let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
                text.extend(["\"", &escaped, "\" "]);
            }
            match block {
                None => text.push_str(";\n"),
                Some(inner) => {
                    text.push_str("{\n");
                    write(inner, text);
                    text.push_str("}\n");
                }
            }
        }
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Tree {
        words: Vec<String>,
        block: Option<Vec<Tree>>,
    }

    fn read(nodes: &[Node]) -> Vec<Tree> {
        let read = |node: &Node| {
            let words = std::iter::once(&node.name).chain(&node.words);
            let words = words.map(|word| word.text.clone()).collect();
            Tree { words, block: node.block.as_deref().map(read) }
        };
        nodes.iter().map(read).collect()
    }

    fn trees() -> impl Strategy<Value = Vec<Tree>> {
        let words = || proptest::collection::vec(".{0,8}", 1..4);
        let leaf = words().prop_map(|words| Tree { words, block: None });
        let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
            (words(), proptest::collection::vec(inner, 0..4))
                .prop_map(|(words, inner)| Tree { words, block: Some(inner) })
        });
        proptest::collection::vec(tree, 0..4)
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z{};#'\"\\\\$ \n]{0,60}|.{0,60}") {
            let _refused = parse(&text, &"f".into());
        }

        #[test]
        fn what_is_written_is_read_back(nodes in trees()) {
            let mut text = String::new();
            write(&nodes, &mut text);
            prop_assert_eq!(read(&parse(&text, &"f".into()).unwrap()), nodes);
        }
    }
}
